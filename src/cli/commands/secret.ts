import type { Command } from "commander";
import type { Secret } from "../../protocol/secrets.ts";
import { listSecrets } from "../api/secrets.ts";
import type { CliContext } from "../context.ts";
import { connect } from "../platform/connection.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";
import { formatAge } from "../terminal/format-duration.ts";
import { plainText } from "../terminal/plain-text.ts";
import { renderTable } from "../terminal/table.ts";
import { defineSecretAllow } from "./secret-allow.ts";
import { defineSecretRekey } from "./secret-rekey.ts";
import { defineSecretRm } from "./secret-rm.ts";
import { defineSecretSet } from "./secret-set.ts";
import { defineSecretShow } from "./secret-show.ts";

export function define(command: Command, context: CliContext): void {
  command.addHelpText("after", "\nValues go in and never come out, but to the steps that name them.");
  withServerOptions(command.command("list", { isDefault: true }).alias("ls"))
    .description("list secrets: names and versions, never values")
    .option("--json", "print JSON")
    .addHelpText("after", "\nExample:\n  berth secret ls")
    .action((options: WithServer<{ json?: boolean }>) => printSecrets(context, options));
  defineSecretSet(command, context);
  defineSecretShow(command, context);
  defineSecretAllow(command, context);
  defineSecretRm(command, context);
  defineSecretRekey(command, context);
}

async function printSecrets(context: CliContext, options: WithServer<{ json?: boolean }>): Promise<void> {
  const { console } = context;
  const secrets = await listSecrets((await connect(context, options)).api);
  if (options.json) return console.out(JSON.stringify(secrets, null, 2));
  if (secrets.length === 0) return console.note("There are no secrets. Set one: berth secret set NAME");
  for (const line of renderTable(COLUMNS, secrets.map(cells))) console.out(line);
}

const COLUMNS = ["SECRET", "VERSION", "PIPELINES", "SET", "BY", "USED"].map((title) => ({ title }));

function cells({ name, versions, pipelines, lastUsedAt }: Secret): string[] {
  const current = versions.find((version) => version.current)!;
  const previous = versions.length > 1 ? " (previous kept)" : "";
  return [
    name,
    `${current.version}${previous}`,
    pipelines?.join(", ") ?? "all",
    ageOf(current.createdAt),
    plainText(current.createdBy),
    lastUsedAt === null ? "never" : ageOf(lastUsedAt),
  ];
}

function ageOf(time: string): string {
  return formatAge(Date.now() - Date.parse(time));
}
