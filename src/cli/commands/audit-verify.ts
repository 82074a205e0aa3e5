import type { Command } from "commander";
import { AuditCheckpoint, type AuditHead } from "../../protocol/audit.ts";
import { ChainWalk, readCheckpoint } from "../../protocol/audit-chain.ts";
import { auditEvents, getAuditHead } from "../api/audit.ts";
import { listProvenanceKeys } from "../api/provenance.ts";
import { usageError } from "../cli-error.ts";
import type { CliContext } from "../context.ts";
import { EXIT } from "../exit-code.ts";
import { keysIn, parseGiven, readGiven } from "../given-files.ts";
import { connect } from "../platform/connection.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";

interface Given {
  readonly installation?: boolean;
  readonly checkpoint?: readonly string[];
  readonly key?: string;
  readonly json?: boolean;
}

export function defineAuditVerify(parent: Command, context: CliContext, result: { exitCode: number }): void {
  withServerOptions(parent.command("verify"))
    .description("follow the audit log from its first event, and name the first that is not as it was written")
    .option("--installation", "the log of the installation in place of the project's")
    .option("--checkpoint <file...>", "what it ended with before: finds a log that was cut short or made anew")
    .option("--key <file>", "public keys in PEM that you trust checkpoints by; default those that the server names")
    .option("--json", "print JSON")
    .addHelpText("after", HELP)
    .action(async (options: WithServer<Given>) => {
      const { console } = context;
      const report = await verify(context, options);
      if (options.json) console.out(JSON.stringify(report, null, 2));
      else for (const line of linesOf(report)) console.out(line);
      result.exitCode = report.broken === null ? EXIT.success : EXIT.damaged;
    });
}

const HELP = `
Every hash is computed here. Without a checkpoint, a log that somebody who may write to the database cut short, or made
anew from some point on, looks whole. The exit code is 1 where anything does not hold.

Examples:
  berth audit verify
  berth audit verify --checkpoint audit-2026-03-29.json --key berth-keys.pem`;

interface Report {
  readonly chain: string;
  /** Events that hold, from the first on. */
  readonly events: number;
  /** Newest event that a checkpoint vouches for; null without one. */
  readonly vouchedTo: number | null;
  readonly broken: { readonly sequence: number; readonly why: string } | null;
}

async function verify(context: CliContext, options: WithServer<Given>): Promise<Report> {
  const { api } = await connect(context, options);
  const scope = options.installation ? "installation" : "project";
  const files = options.checkpoint ?? [];
  const serverKeys = async () => (await listProvenanceKeys(api)).map(({ publicKey }) => publicKey);
  const keys = options.key === undefined ? (files.length === 0 ? [] : await serverKeys()) : keysIn(options.key);
  const head = await getAuditHead(api, scope);
  const kept = files.map((file) => headIn(file, keys, head.chain));
  const walk = new ChainWalk([head, ...kept].filter(({ sequence }) => sequence > 0));
  for await (const event of auditEvents(api, { scope, order: "oldest" })) if (!walk.take(event)) break;
  return {
    chain: head.chain,
    events: walk.last.sequence,
    vouchedTo: kept.length === 0 ? null : Math.max(...kept.map(({ sequence }) => sequence)),
    broken: walk.end(),
  };
}

function headIn(file: string, keys: readonly string[], chain: string): AuditHead {
  const parsed = AuditCheckpoint.safeParse(parseGiven(readGiven(file), file, "berth audit checkpoint > FILE"));
  if (!parsed.success) throw usageError(`${file} is no checkpoint.`, "berth audit checkpoint > FILE");
  const checked = readCheckpoint(parsed.data, keys);
  if (!checked.ok) throw usageError(`${file} is no checkpoint to go by: ${checked.why}.`);
  if (checked.head.chain === chain) return checked.head;
  throw usageError(`${file} is the checkpoint of another log: of ${checked.head.chain}, not of ${chain}.`);
}

function linesOf({ chain, events, vouchedTo, broken }: Report): string[] {
  if (broken !== null)
    return [`✗ event ${broken.sequence} of ${chain}: ${broken.why}`, `${events} events before it hold`];
  const lines = [`✓ ${events} events of ${chain}: each follows the one before it, and is as it was written`];
  if (vouchedTo === null) return [...lines, "not proven: that none was cut off at the end; see --checkpoint"];
  return [...lines, `✓ all that was there when the checkpoint was made, up to event ${vouchedTo}`];
}
