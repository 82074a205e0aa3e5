import type { Command } from "commander";
import { RegistryHost } from "../../protocol/registries.ts";
import { listRegistries, removeRegistry, setRegistry } from "../api/registries.ts";
import { usageError } from "../cli-error.ts";
import type { CliContext } from "../context.ts";
import { connect } from "../platform/connection.ts";
import { readSecretValue } from "../platform/secret-input.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";
import { formatAge } from "../terminal/format-duration.ts";
import { plainText } from "../terminal/plain-text.ts";
import { renderTable } from "../terminal/table.ts";

type Options = WithServer<{ json?: boolean }>;
type SetOptions = WithServer<{ username: string; file?: string; pipeline?: string[]; json?: boolean }>;

export function define(command: Command, context: CliContext): void {
  command.addHelpText("after", "\nWorkers log in with these when they pull images for runs of the project.");
  withServerOptions(command.command("list", { isDefault: true }).alias("ls"))
    .description("list registries that there are logins for; never their passwords")
    .option("--json", "print JSON")
    .addHelpText("after", "\nExample:\n  berth registry ls")
    .action((options: Options) => printRegistries(context, options));
  defineSet(command, context);
  withServerOptions(command.command("remove <host>").alias("rm"))
    .description("remove the login for a registry (operators)")
    .option("--json", "print JSON")
    .addHelpText("after", "\nExample:\n  berth registry rm ghcr.io")
    .action(async (host: string, options: Options) => {
      await removeRegistry((await connect(context, options)).api, checkHost(host));
      if (options.json) context.console.out(JSON.stringify({ removed: host }));
      else context.console.out(`The login for ${host} is removed.`);
    });
}

function defineSet(command: Command, context: CliContext): void {
  withServerOptions(command.command("set <host>"))
    .description("keep a login for a registry, in place of the one before (operators)")
    .requiredOption("--username <name>", "who logs in")
    .option("--file <file>", "the password is what this file holds, byte for byte")
    .option(
      "--pipeline <name>",
      "only runs of this pipeline may use it; may be repeated",
      (name: string, all: string[] | undefined) => [...(all ?? []), name],
    )
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\nThe password, or token, is asked for without being shown, or piped in, or the bytes of a file: never an argument.\n\nExamples:\n  berth registry set ghcr.io --username ci-bot\n  pass show registry | berth registry set registry.example.com:5000 --username berth",
    )
    .action(async (host: string, { username, file, pipeline: pipelines, ...options }: SetOptions) => {
      const input = { stdin: process.stdin, stderr: process.stderr };
      const password = await readSecretValue(input, `the password for ${checkHost(host)}`, file);
      const { api } = await connect(context, options);
      const login = {
        host,
        username,
        password: password.toString("base64"),
        ...(pipelines !== undefined && { pipelines }),
      };
      const set = await setRegistry(api, login);
      if (options.json) return context.console.out(JSON.stringify(set, null, 2));
      const whose = set.pipelines?.join(", ") ?? "all pipelines";
      context.console.out(`Images of ${host} are pulled as ${plainText(set.username)}, for ${whose}.`);
    });
}

function checkHost(host: string): string {
  if (RegistryHost.safeParse(host).success) return host;
  throw usageError("A registry is named by its host, such as ghcr.io or localhost:5000; Docker Hub is docker.io.");
}

async function printRegistries(context: CliContext, options: Options): Promise<void> {
  const { console } = context;
  const registries = await listRegistries((await connect(context, options)).api);
  if (options.json) return console.out(JSON.stringify(registries, null, 2));
  if (registries.length === 0) {
    return console.note("There are no logins. Keep one: berth registry set HOST --username NAME");
  }
  const ageOf = (time: string) => formatAge(Date.now() - Date.parse(time));
  const rows = registries.map(({ host, username, pipelines, setAt, createdBy, lastUsedAt }) => [
    ...[plainText(host), plainText(username), pipelines?.join(", ") ?? "all"],
    ...[ageOf(setAt), plainText(createdBy), lastUsedAt === null ? "never" : ageOf(lastUsedAt)],
  ]);
  for (const line of renderTable(COLUMNS, rows)) console.out(line);
}

const COLUMNS = ["REGISTRY", "USER", "PIPELINES", "SET", "BY", "USED"].map((title) => ({ title }));
