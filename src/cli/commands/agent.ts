import { hostname } from "node:os";
import { type Command, Option } from "commander";
import { NAME_PATTERN, NAME_RULE } from "../../protocol/names.ts";
import type { TrustChoice } from "../../std/tls-trust.ts";
import { usageError } from "../cli-error.ts";
import type { CliContext } from "../context.ts";
import { berthHome, homeFiles } from "../platform/home.ts";
import { serveUntilStopped, tellSupervisor } from "../platform/serve-until-stopped.ts";
import type { CommandResult } from "../program.ts";
import { defineAgentCache } from "./agent-cache.ts";
import { defineAgentImages } from "./agent-images.ts";
import { defineAgentPolicy } from "./agent-policy.ts";

export function define(command: Command, context: CliContext, result: CommandResult): void {
  command
    .command("register")
    .description("make this machine a worker of a server, by a registration token")
    .requiredOption("--server <url>", "server to register at")
    .option(
      "--token <token>",
      "registration token, from `berth token create --registration` (BERTH_REGISTRATION_TOKEN)",
    )
    .option("--name <name>", "name of the worker; by default that of this machine")
    .option("--type <type>", "local, custom or cloud", "custom")
    .option("--ca-file <file>", "certificates in PEM that the server is to be known by, in place of the usual")
    .option("--ca-fingerprint <sha256>", "the same by the fingerprint that the server prints when it starts")
    .addHelpText("after", REGISTER_HELP)
    .action((options: RegisterOptions) => register(context, options));
  command
    .command("trust")
    .description("tell a registered worker by what certificate to know its server")
    .option("--home <folder>", "folder of the worker's identity and state; by default BERTH_HOME/agent")
    .option("--server <url>", "address of the server, when it is another one now")
    .option("--ca-file <file>", "certificates in PEM; without this and the next, the usual ones")
    .option("--ca-fingerprint <sha256>", "the fingerprint that the server prints when it starts")
    .addHelpText("after", "\nExample:\n  berth agent trust --ca-fingerprint sha256:…")
    .action((options: TrustOptions) => changeTrust(context, options));
  command
    .command("start")
    .description("take and run runs, until Ctrl-C")
    .option("--home <folder>", "folder of the worker's identity and state; by default BERTH_HOME/agent")
    .option("--server <url>", "address of the server, when it is not the one registered at")
    .option("--ca-file <file>", "certificates in PEM to know that address by")
    .option("--policy <file>", "what steps may ask of this worker; by default policy.yaml in its home (BERTH_POLICY)")
    .addOption(new Option("--tls-server-name <name>", "name in the certificate of that address").hideHelp())
    .addHelpText(
      "after",
      "\nStopping detaches: steps that run go on, and are found again at the next start.\n\nExample:\n  berth agent start",
    )
    .action((options: StartOptions) => start(context, options));
  defineAgentCache(command, context, result);
  defineAgentImages(command, context);
  defineAgentPolicy(command, context);
}

const REGISTER_HELP = `
Without either of the last two options, the authorities of Node.js and of the system are trusted.

Examples:
  berth agent register --server https://berth.example.com --token …
  berth agent register --server https://berth.lan:7070 --ca-fingerprint sha256:… --token …`;

interface CertificateOptions {
  readonly caFile?: string;
  readonly caFingerprint?: string;
}

interface RegisterOptions extends CertificateOptions {
  readonly server: string;
  readonly token?: string;
  readonly name?: string;
  readonly type: string;
}

async function register(context: CliContext, options: RegisterOptions): Promise<void> {
  const token = options.token ?? context.env.BERTH_REGISTRATION_TOKEN;
  if (!token)
    throw usageError(
      "A registration token is needed.",
      "`berth token create --registration` makes one, good for 15 minutes.",
    );
  if (!isWorkerType(options.type))
    throw usageError(`"${options.type}" is no type of worker.`, "It is local, custom or cloud.");
  if (options.name !== undefined && !NAME_PATTERN.test(options.name)) {
    throw usageError(`"${options.name}" cannot be the name of a worker (--name).`, NAME_RULE);
  }
  const worker = await context.programs.registerAgent({
    env: context.env,
    home: homeFiles(berthHome(context.env)).agent,
    server: serverAddress(options.server),
    trust: trustOf(options),
    token,
    name: options.name ?? nameOfThisMachine(),
    type: options.type,
  });
  context.console.out(`Registered as worker "${worker.name}" (${worker.id}). Start it with: berth agent start`);
}

function trustOf({ caFile, caFingerprint }: CertificateOptions): TrustChoice {
  return { caFile, caFingerprint };
}

interface TrustOptions extends CertificateOptions {
  readonly home?: string;
  readonly server?: string;
}

async function changeTrust(context: CliContext, options: TrustOptions): Promise<void> {
  const home = options.home ?? homeFiles(berthHome(context.env)).agent;
  const server = options.server === undefined ? undefined : serverAddress(options.server);
  const worker = await context.programs.changeTrust(home, trustOf(options), server);
  context.console.out(`Worker "${worker.name}" knows ${worker.server} by it from its next start on: berth agent start`);
}

function serverAddress(text: string): string {
  const protocol = URL.parse(text)?.protocol;
  if (protocol === "http:" || protocol === "https:") return text;
  throw usageError(`"${text}" is not the address of a server.`, "It is to look like https://berth.example.com:7070.");
}

function isWorkerType(text: string): text is "local" | "custom" | "cloud" {
  return text === "local" || text === "custom" || text === "cloud";
}

/** The host name as a worker's name: letters, digits, `_` and `-`, beginning with a letter. */
function nameOfThisMachine(): string {
  const short = hostname()
    .split(".")[0]!
    .replace(/[^A-Za-z0-9_-]/g, "-")
    .slice(0, 60);
  return /^[A-Za-z]/.test(short) ? short : `w-${short}`;
}

interface StartOptions {
  readonly home?: string;
  readonly server?: string;
  readonly caFile?: string;
  readonly tlsServerName?: string;
  readonly policy?: string;
}

async function start(context: CliContext, options: StartOptions): Promise<void> {
  const home = options.home ?? homeFiles(berthHome(context.env)).agent;
  const worker = await context.programs.registeredWorker(home);
  if (worker === null) {
    throw usageError(
      `This machine is not registered as a worker (in ${home}).`,
      "Register it first: berth agent register --help",
    );
  }
  const agent = await context.programs.startAgent({
    env: context.env,
    home,
    ...(options.server === undefined ? {} : { server: options.server }),
    ...(options.policy === undefined ? {} : { policy: options.policy }),
    ...(options.caFile === undefined ? {} : { trust: { caFile: options.caFile, serverName: options.tlsServerName } }),
  });
  await serveUntilStopped(agent, () => {
    tellSupervisor({ type: "ready" });
    if (!process.connected)
      context.console.note(
        `Worker "${worker.name}" takes runs of ${options.server ?? worker.server}. Ctrl-C stops it.`,
      );
  });
}
