import type { Command } from "commander";
import { type AuditEvent, AuditFacts } from "../../protocol/audit.ts";
import { type AuditFilter, auditEvents } from "../api/audit.ts";
import type { CliContext } from "../context.ts";
import { connect } from "../platform/connection.ts";
import { positiveIntegerUpTo } from "../positive-integer.ts";
import { readMoment } from "../read-moment.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";
import { formatLocal } from "../terminal/format-moment.ts";
import { plainText } from "../terminal/plain-text.ts";
import { renderTable } from "../terminal/table.ts";
import { defineAuditCheckpoint } from "./audit-checkpoint.ts";
import { defineAuditVerify } from "./audit-verify.ts";

interface Given extends Omit<AuditFilter, "scope" | "order"> {
  readonly installation?: boolean;
  readonly limit: number;
  readonly json?: boolean;
}

const LIMIT_MAX = 100_000;

export function define(command: Command, context: CliContext, result: { exitCode: number }): void {
  withServerOptions(command)
    .option("--since <time>", "only what happened since: 2026-03-29T03:00:00Z, or 30m, 24h or 7d ago", readMoment)
    .option("--until <time>", "only what happened before", readMoment)
    .option("--actor <name>", "only what this token, worker or schedule did, by name or id")
    .option("--action <action>", "only this, such as secret.set, or secret for all that is done to secrets")
    .option("--subject <name>", "only what was done to this")
    .option("--installation", "the log of the installation in place of the project's")
    .option("--limit <n>", "how many, newest first", positiveIntegerUpTo(LIMIT_MAX), 50)
    .option("--json", "print JSON, one event a line")
    .addHelpText("after", "\nExamples:\n  berth audit --since 24h --action secret\n  berth audit verify")
    .action((options: WithServer<Given>) => printAudit(context, options));
  defineAuditVerify(command, context, result);
  defineAuditCheckpoint(command, context);
}

async function printAudit(context: CliContext, options: WithServer<Given>): Promise<void> {
  const { console } = context;
  const { actor, action, subject, since, until } = options;
  const { api } = await connect(context, options);
  const scope = options.installation ? "installation" : "project";
  const events: AuditEvent[] = [];
  for await (const event of auditEvents(api, { scope, order: "newest", actor, action, subject, since, until })) {
    events.push(event);
    if (events.length >= options.limit) break;
  }
  if (options.json) {
    for (const event of events) console.out(JSON.stringify(event));
    return;
  }
  if (events.length === 0) return console.note("Nothing like that was written down.");
  for (const line of renderTable(COLUMNS, events.map(cells))) console.out(line);
}

const COLUMNS = ["#", "AT", "WHO", "ACTION", "SUBJECT", "DETAILS", "FROM"].map((title) => ({ title }));

function cells({ sequence, at, event }: AuditEvent): string[] {
  const facts = AuditFacts.safeParse(event);
  const place = [String(sequence), formatLocal(at)];
  if (!facts.success) return [...place, "?", "?", "?", plainText(JSON.stringify(event)), "?"];
  const { actor, action, subject, details, address } = facts.data;
  const words = Object.entries(details).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  return [...place, plainText(actor.name), action, plainText(subject), plainText(words.join(" ")), address ?? "-"];
}
