import type { Command } from "commander";
import type { ApiToken, RegistrationToken } from "../../protocol/tokens.ts";
import { listRegistrationTokens, listTokens } from "../api/tokens.ts";
import type { CliContext } from "../context.ts";
import { connect } from "../platform/connection.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";
import { formatAge } from "../terminal/format-duration.ts";
import { plainText } from "../terminal/plain-text.ts";
import { renderTable } from "../terminal/table.ts";

type Options = WithServer<{ registration?: boolean; json?: boolean }>;

export function defineTokenLs(parent: Command, context: CliContext): void {
  withServerOptions(parent.command("ls"))
    .description("list API tokens, or with --registration registration tokens; never the secrets")
    .option("--registration", "list registration tokens")
    .option("--json", "print JSON")
    .addHelpText("after", "\nExamples:\n  berth token ls\n  berth token ls --registration")
    .action((options: Options) => printTokens(context, options));
}

async function printTokens(context: CliContext, options: Options): Promise<void> {
  const { api } = await connect(context, options);
  const { console } = context;
  if (options.registration) {
    const tokens = await listRegistrationTokens(api);
    if (options.json) return console.out(JSON.stringify(tokens, null, 2));
    for (const line of renderTable(
      titles("ID", "STATE", "POOL", "LABELS", "CREATED", "EXPIRES"),
      tokens.map(registrationCells),
    ))
      console.out(line);
    return;
  }
  const tokens = await listTokens(api);
  if (options.json) return console.out(JSON.stringify(tokens, null, 2));
  for (const line of renderTable(
    titles("ID", "NAME", "ROLE", "PROJECT", "CREATED", "EXPIRES", "USED"),
    tokens.map(cells),
  ))
    console.out(line);
}

function titles(...names: string[]) {
  return names.map((title) => ({ title }));
}

function cells(token: ApiToken): string[] {
  return [
    token.id,
    plainText(token.name),
    token.role,
    plainText(token.project ?? "(all)"),
    ageOf(token.createdAt),
    token.expiresAt ?? "never",
    token.lastUsedAt === null ? "never" : ageOf(token.lastUsedAt),
  ];
}

function registrationCells(token: RegistrationToken): string[] {
  return [
    token.id,
    token.state,
    token.pool,
    plainText(token.labels.join(",")) || "-",
    ageOf(token.createdAt),
    token.expiresAt,
  ];
}

function ageOf(time: string): string {
  return formatAge(Date.now() - Date.parse(time));
}
