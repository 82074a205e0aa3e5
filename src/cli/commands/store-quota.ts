import type { Command } from "commander";
import { MEMORY_PATTERN, parseMemory } from "../../pipeline/quantity.ts";
import type { UsedQuota } from "../../protocol/usage.ts";
import { formatSize } from "../../std/format-size.ts";
import { listQuotas, setQuota, unsetQuota } from "../api/store.ts";
import { usageError } from "../cli-error.ts";
import type { CliContext } from "../context.ts";
import { connect } from "../platform/connection.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";
import type { Style } from "../terminal/style.ts";

type Options = WithServer<{ pipeline?: string; artifactMax?: string; json?: boolean }>;

/** From here on it is said that there is little left. */
const WARNED_AT = 0.8;

/** `berth store quota`, with `set` and `unset` */
export function defineStoreQuota(parent: Command, context: CliContext): void {
  const { console } = context;
  const print = (quotas: readonly UsedQuota[], json: boolean | undefined) => {
    if (json) return console.out(JSON.stringify(quotas, null, 2));
    if (quotas.length === 0) return console.note("There is no quota: what there is room for may be stored.");
    for (const quota of quotas) console.out(quotaLine(quota, console.style));
  };
  const quota = parent
    .command("quota")
    .description("how much the project, and its pipelines, may store")
    .addHelpText("after", "\nExamples:\n  berth store quota show\n  berth store quota set 500GiB --artifact-max 20GiB");
  withServerOptions(quota.command("show", { isDefault: true }))
    .description("show quotas, and what is used of them")
    .option("--json", "print JSON")
    .addHelpText("after", "\nExample:\n  berth store quota show")
    .action(async (options: Options) => print(await listQuotas((await connect(context, options)).api), options.json));
  withServerOptions(quota.command("set [size]"))
    .description("say how much may be stored (administrators of the project)")
    .option("--pipeline <name>", "by one pipeline: what its versions refer to")
    .option("--artifact-max <size>", "most of one artifact")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\nExamples:\n  berth store quota set 500GiB\n  berth store quota set 20GiB --pipeline wine --artifact-max 1GiB",
    )
    .action(async (size: string | undefined, { pipeline, artifactMax, ...options }: Options) => {
      if (size === undefined && artifactMax === undefined)
        throw usageError("Say how much: a size such as 500GiB, or --artifact-max.");
      const limits = { maxBytes: readSize(size), maxArtifactBytes: readSize(artifactMax) };
      print(
        await setQuota((await connect(context, options)).api, { pipeline: pipeline ?? null, ...limits }),
        options.json,
      );
    });
  withServerOptions(quota.command("unset"))
    .description("take a quota back (administrators of the project)")
    .option("--pipeline <name>", "of one pipeline")
    .addHelpText("after", "\nExample:\n  berth store quota unset --pipeline wine")
    .action(async ({ pipeline, ...options }: Options) => {
      await unsetQuota((await connect(context, options)).api, pipeline);
      console.out(`${pipeline === undefined ? "The project" : pipeline} has no quota any more.`);
    });
}

function readSize(text: string | undefined): number | null {
  if (text === undefined) return null;
  if (MEMORY_PATTERN.test(text)) return parseMemory(text);
  throw usageError(`"${text}" is no size.`, "Write it like 500GiB or 1.5TB.");
}

/** What may be stored, and how much of that there is. */
export function quotaLine({ pipeline, maxBytes, maxArtifactBytes, usedBytes }: UsedQuota, style: Style): string {
  const artifact = maxArtifactBytes === null ? "" : `, at most ${formatSize(maxArtifactBytes)} in one artifact`;
  const whose = pipeline === null ? "project" : `pipeline ${pipeline}`;
  if (maxBytes === null) return `${whose}: no limit of all together${artifact}`;
  const share = usedBytes / Math.max(1, maxBytes);
  const line = `${whose}: ${formatSize(usedBytes)} of ${formatSize(maxBytes)} (${Math.floor(share * 100)} %)${artifact}`;
  if (share >= 1) return style.red(`${line}: nothing more can be stored`);
  return share >= WARNED_AT ? style.yellow(`${line}: little is left`) : line;
}
