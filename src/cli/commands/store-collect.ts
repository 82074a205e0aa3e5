import type { Command } from "commander";
import type { CollectAnswer } from "../../protocol/usage.ts";
import { formatSize } from "../../std/format-size.ts";
import { collectStore } from "../api/store.ts";
import { readDuration } from "../artifacts/read-keep.ts";
import type { CliContext } from "../context.ts";
import { connect } from "../platform/connection.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";

type Options = WithServer<{ dryRun?: boolean; grace?: string; json?: boolean }>;

/** `berth store collect` */
export function defineStoreCollect(parent: Command, context: CliContext): void {
  withServerOptions(parent.command("collect"))
    .description("remove now what has expired, and bytes that nothing refers to; a server does so every ten minutes")
    .option("--dry-run", "only say what would go")
    .option("--grace <time>", "how long a blob stays that nothing refers to, such as 1h; default 1d")
    .option("--json", "print JSON")
    .addHelpText("after", HELP)
    .action(async ({ dryRun = false, grace, ...options }: Options) => {
      const { api } = await connect(context, options);
      const request = { dryRun, ...(grace === undefined ? {} : { graceMs: readDuration(grace) }) };
      let answer = await collectStore(api, request);
      // The server works for a while at a time.
      while (!answer.done) answer = sum(answer, await collectStore(api, request));
      if (options.json) return context.console.out(JSON.stringify(answer, null, 2));
      for (const line of lines(answer, dryRun)) context.console.out(line);
    });
}

const HELP = `
A blob that was just stored is about to be referred to, which is what the grace is for. With a shorter one, a run that
commits it is told to upload it again, and a source that was uploaded for a run may have to be.

Examples:
  berth store collect --dry-run
  berth store collect --grace 1h`;

function sum(one: CollectAnswer, other: CollectAnswer): CollectAnswer {
  return {
    expired: one.expired + other.expired,
    expiredBytes: one.expiredBytes + other.expiredBytes,
    blobs: one.blobs + other.blobs,
    blobBytes: one.blobBytes + other.blobBytes,
    objects: one.objects + other.objects,
    objectBytes: one.objectBytes + other.objectBytes,
    done: other.done,
  };
}

function lines(
  { expired, expiredBytes, blobs, blobBytes, objects, objectBytes }: CollectAnswer,
  dryRun: boolean,
): string[] {
  if (expired + blobs + objects === 0) return [dryRun ? "Nothing would go." : "Nothing had to go."];
  const verb = dryRun ? "would go" : "went";
  return [
    `${expired} versions ${verb}, which refer to ${formatSize(expiredBytes)}`,
    `${blobs} blobs ${verb} that nothing refers to: ${formatSize(blobBytes)}`,
    ...(objects === 0 ? [] : [`${objects} objects ${verb} that no blob names: ${formatSize(objectBytes)}`]),
    ...(dryRun && expired > 0 ? ["What only these versions refer to goes after the grace."] : []),
  ];
}
