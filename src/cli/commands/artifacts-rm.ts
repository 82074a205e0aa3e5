import type { Command } from "commander";
import { expireVersion, removeVersion } from "../api/store.ts";
import { parseVersion } from "../artifacts/parse-version.ts";
import { readDuration } from "../artifacts/read-keep.ts";
import { usageError } from "../cli-error.ts";
import type { CliContext } from "../context.ts";
import { connect } from "../platform/connection.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";
import { formatLocal } from "../terminal/format-moment.ts";
import { itemsText } from "./artifacts-pin.ts";

type RemoveOptions = WithServer<{ item?: string; force?: boolean; json?: boolean }>;
type ExpireOptions = WithServer<{ item?: string; in?: string; never?: boolean; json?: boolean }>;

/** `berth artifacts rm` and `expire` */
export function defineArtifactsRemove(parent: Command, context: CliContext): void {
  withServerOptions(parent.command("rm <artifact>"))
    .description("remove the content of a version now; that it was there stays known")
    .option("--item <item>", "one item of a batch or matrix, such as 7 or model=knn")
    .option("--force", "although it is pinned, or a run that failed may be restarted from it (operators)")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\nExamples:\n  berth artifacts rm wine/train/model/3\n  berth artifacts rm wine/train/model/3 --item model=knn",
    )
    .action(async (artifact: string, { item, force, ...options }: RemoveOptions) => {
      const { api } = await connect(context, options);
      const items = await removeVersion(api, { ...parseVersion(artifact), item }, force === true);
      if (options.json) return context.console.out(JSON.stringify({ items }, null, 2));
      context.console.out(`${artifact}${itemsText(items)} is removed.`);
    });
  withServerOptions(parent.command("expire <artifact>"))
    .description("give a version a time of its own to go at, in place of every rule")
    .option("--in <time>", "from now on, such as 12h or 30d; without it, as soon as nothing needs it")
    .option("--never-mind", "take its own time back: the rules hold again")
    .option("--item <item>", "one item of a batch or matrix")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\nExamples:\n  berth artifacts expire wine/train/model/3\n  berth artifacts expire wine/train/model/3 --in 90d",
    )
    .action(async (artifact: string, options: ExpireOptions & { neverMind?: boolean }) => {
      if (options.neverMind && options.in !== undefined) throw usageError("Choose one of --in and --never-mind.");
      const until = options.neverMind ? null : new Date(Date.now() + readDuration(options.in ?? "0s")).toISOString();
      const { api } = await connect(context, options);
      const items = await expireVersion(api, { ...parseVersion(artifact), item: options.item }, until);
      if (options.json) return context.console.out(JSON.stringify({ items, until }, null, 2));
      const name = `${artifact}${itemsText(items)}`;
      if (until === null) context.console.out(`${name} is left to the rules again.`);
      else if (options.in === undefined) context.console.out(`${name} goes within minutes, unless something needs it.`);
      else context.console.out(`${name} goes after ${formatLocal(until)}.`);
    });
}
