import { type Command, InvalidArgumentError } from "commander";
import type { ApiClient } from "../api/client.ts";
import { createRegistrationToken, createToken } from "../api/tokens.ts";
import { usageError } from "../cli-error.ts";
import type { CliContext } from "../context.ts";
import { connect } from "../platform/connection.ts";
import { embeddedEndpoint } from "../platform/embedded-endpoint.ts";
import { berthHome } from "../platform/home.ts";
import { registrationLine } from "../platform/registration-line.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";
import { plainText } from "../terminal/plain-text.ts";

const ROLES = ["admin", "operator", "developer", "viewer"] as const;
type Role = (typeof ROLES)[number];

type Options = WithServer<{
  registration?: boolean;
  name?: string;
  role?: string;
  expires?: number;
  pool?: string;
  label?: string[];
  json?: boolean;
}>;

export function defineTokenCreate(parent: Command, context: CliContext): void {
  withServerOptions(parent.command("create"))
    .description("create an API token, or with --registration one that registers a worker")
    .option("--name <name>", "name of an API token: who or what it is for")
    .option("--role <role>", `what an API token may do: ${ROLES.join(", ")} (each includes those after it)`)
    .option("--expires <duration>", "how long it is good for, such as 30m, 12h or 90d", durationSeconds)
    .option("--registration", "a token that registers one worker, good for 15 minutes unless told otherwise")
    .option("--pool <name>", "pool of the worker that registers with it")
    .option("--label <label>", "label of that worker; may be repeated", collect)
    .option("--json", "print JSON")
    .addHelpText("after", HELP)
    .action((options: Options) => create(context, options));
}

const HELP = `
The token itself is on stdout, and shown this once.

Examples:
  berth token create --name ci --role developer --expires 90d
  berth token create --registration --pool gpu --label cuda`;

function collect(value: string, all: string[] = []): string[] {
  return [...all, value];
}

const UNIT_SECONDS = { s: 1, m: 60, h: 3600, d: 86_400 } as const;

function durationSeconds(text: string): number {
  const match = /^([1-9]\d{0,6})([smhd])$/.exec(text);
  if (match === null) throw new InvalidArgumentError("It is to be like 30m, 12h or 90d.");
  return Number(match[1]) * UNIT_SECONDS[match[2] as keyof typeof UNIT_SECONDS];
}

async function create(context: CliContext, options: Options): Promise<void> {
  checkOptions(options);
  const { api } = await connect(context, options);
  const created = options.registration ? await createForWorker(api, options) : await createForPerson(api, options);
  const { console } = context;
  if (options.json) return console.out(JSON.stringify(created, null, 2));
  const until = created.expiresAt === null ? "never expires" : `expires ${created.expiresAt}`;
  console.note(
    options.registration
      ? `Registration token ${created.id}, ${until}. On the worker's machine:`
      : `API token ${created.id}, ${until}.`,
  );
  if (options.registration) console.note(`  ${registrationCommand(context, api.server, options)}`);
  console.out(created.token);
}

/** With the certificate that this command itself knows the server by. */
function registrationCommand(context: CliContext, server: string, { caFile, caFingerprint }: Options): string {
  const embedded = embeddedEndpoint(berthHome(context.env));
  const line = embedded?.url === server ? registrationLine(embedded) : null;
  if (line !== null) return line;
  const file = caFile === undefined ? "" : ` --ca-file ${plainText(caFile)}`;
  const pin = caFingerprint === undefined ? file : ` --ca-fingerprint ${plainText(caFingerprint)}`;
  return `berth agent register --server ${plainText(server)}${pin} --token …`;
}

/** What belongs to the other kind of token is refused rather than ignored. */
function checkOptions({ registration, name, role, pool, label }: Options): void {
  if (registration && (name !== undefined || role !== undefined)) {
    throw usageError(
      "--name and --role are for API tokens.",
      "A registration token takes --pool, --label and --expires.",
    );
  }
  if (registration) return;
  if (pool !== undefined || label !== undefined) throw usageError("--pool and --label need --registration.");
  if (name === undefined || role === undefined) throw usageError("An API token needs --name and --role.");
  if (!isRole(role)) throw usageError(`"${role}" is no role.`, `Roles: ${ROLES.join(", ")}`);
}

function isRole(text: string): text is Role {
  return (ROLES as readonly string[]).includes(text);
}

function createForWorker(api: ApiClient, { pool, label, expires }: Options) {
  return createRegistrationToken(api, {
    labels: label ?? [],
    ...(pool === undefined ? {} : { pool }),
    ...(expires === undefined ? {} : { lifetimeSeconds: expires }),
  });
}

function createForPerson(api: ApiClient, { name, role, expires }: Options) {
  return createToken(api, { name: name!, role: role as Role, lifetimeSeconds: expires ?? null });
}
