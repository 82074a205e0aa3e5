import type { Command } from "commander";
import type { BlobUse, DamagedBlob, VerifyStorePage } from "../../protocol/store-verify.ts";
import { formatSize } from "../../std/format-size.ts";
import { verifyStore } from "../api/verify-store.ts";
import type { CliContext } from "../context.ts";
import { EXIT } from "../exit-code.ts";
import { connect } from "../platform/connection.ts";
import type { CommandResult } from "../program.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";
import { plainText } from "../terminal/plain-text.ts";

type Options = WithServer<{ quick?: boolean; json?: boolean }>;

interface Verified {
  blobs: number;
  bytes: number;
  mended: number;
  readonly damaged: DamagedBlob[];
}

/** `berth store verify` */
export function defineStoreVerify(parent: Command, context: CliContext, result: CommandResult): void {
  withServerOptions(parent.command("verify"))
    .description("check that everything in the project's store is there, and is what was stored")
    .option("--quick", "only whether it is there and as long as it should be: reads nothing")
    .option("--json", "print JSON")
    .addHelpText("after", HELP)
    .action(async (options: Options) => {
      const { console } = context;
      const verified: Verified = { blobs: 0, bytes: 0, mended: 0, damaged: [] };
      let total: VerifyStorePage["total"] = null;
      const { api } = await connect(context, options);
      for await (const page of verifyStore(api, { quick: options.quick ?? false })) {
        total ??= page.total;
        verified.blobs += page.checked.blobs;
        verified.bytes += page.checked.bytes;
        verified.mended += page.mended;
        verified.damaged.push(...page.damaged);
        if (console.notesOnTerminal && page.next !== null) console.writeNote(`\r${progress(verified, total)}\x1b[K`);
      }
      if (console.notesOnTerminal) console.writeNote("\r\x1b[K");
      if (options.json) console.out(JSON.stringify(verified, null, 2));
      else for (const line of report(verified, options.quick ?? false)) console.out(line);
      if (verified.damaged.length > 0) result.exitCode = EXIT.damaged;
    });
}

const HELP = `
What is found to be missing or damaged is noted: it counts as absent, so that it is stored again when it is made
again, and by the next check if it came back. Ends with 1 when something is found.

Examples:
  berth store verify
  berth store verify --quick --json`;

function progress({ blobs, bytes, damaged }: Verified, total: VerifyStorePage["total"]): string {
  const share = total === null || total.bytes === 0 ? 1 : Math.min(1, bytes / total.bytes);
  const found = damaged.length === 0 ? "" : `, ${damaged.length} damaged`;
  return `${Math.floor(share * 100)} %  ${blobs} of ${total?.blobs ?? "?"} blobs, ${formatSize(bytes)}${found}`;
}

function report({ blobs, bytes, mended, damaged }: Verified, quick: boolean): string[] {
  const looked = `${blobs} ${blobs === 1 ? "blob" : "blobs"}, ${formatSize(bytes)}`;
  const how = quick ? "is there (bytes were not read)" : "is what was stored";
  const again = mended === 0 ? [] : [`${mended} noted as damaged before ${mended === 1 ? "is" : "are"} right again.`];
  if (damaged.length === 0) return [`Everything ${how}: ${looked}.`, ...again];
  const count = damaged.length === 1 ? "1 blob is" : `${damaged.length} blobs are`;
  return [
    `${count} not what was stored, of ${looked}:`,
    ...damaged.flatMap(findingLines),
    ...again,
    "",
    "What to do:",
    ...advice(damaged).map((line) => `  ${line}`),
  ];
}

function findingLines({ digest, size, fault, object, uses, hasMoreUses }: DamagedBlob): string[] {
  const where = object === null ? "the database" : `${object.place}, ${object.key}`;
  const lines = uses.map((use) => `    ${useText(use)}`);
  return [
    `  ${fault}  ${digest}  ${formatSize(size)}  in ${where}`,
    ...(lines.length === 0 ? ["    nothing refers to it any more"] : lines),
    ...(hasMoreUses ? ["    and more"] : []),
  ];
}

function useText(use: BlobUse): string {
  if (use.kind === "artifact") {
    const item = use.item === "" ? "" : ` ${plainText(use.item)}`;
    return `${use.pipeline}/${use.step}/${use.name}/${use.version}${item}, made by ${use.pipeline}#${use.run}`;
  }
  return use.kind === "source" ? `source of ${use.pipeline}#${use.run}` : `source of the ${use.kind} ${use.name}`;
}

/** For each kind of use once: what makes the bytes again. */
function advice(damaged: readonly DamagedBlob[]): string[] {
  const uses = damaged.flatMap((blob) => blob.uses);
  const made = uses.find((use) => use.kind === "artifact");
  const source = uses.some(({ kind }) => kind !== "artifact");
  return [
    "Restore the objects from a backup if you have one, and check again.",
    ...(made === undefined
      ? []
      : [
          `Make artifacts again: berth restart ${made.pipeline}#${made.run} --from ${made.step}, and so for each of them.`,
        ]),
    ...(source ? ["Submit or apply again what a source is missing for: that uploads it again."] : []),
  ];
}
