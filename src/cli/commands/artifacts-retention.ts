import type { Command } from "commander";
import type { VersionRetention } from "../../protocol/retention.ts";
import { readRetention } from "../api/store.ts";
import { nothingOf } from "../artifacts/nothing-of.ts";
import { parseReference } from "../artifacts/parse-reference.ts";
import type { CliContext } from "../context.ts";
import { connect } from "../platform/connection.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";
import { formatLocal, formatUntil } from "../terminal/format-moment.ts";
import { plainText } from "../terminal/plain-text.ts";
import { renderTable } from "../terminal/table.ts";

type Options = WithServer<{ item?: string; json?: boolean }>;

/** `berth artifacts retention` */
export function defineArtifactsRetention(parent: Command, context: CliContext): void {
  withServerOptions(parent.command("retention <artifact>"))
    .description("say which rule holds for a version, when it goes, and what keeps it")
    .option("--item <item>", "one item of a batch or matrix")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\nExamples:\n  berth artifacts retention wine/train/model\n  berth artifacts retention wine/train/model/3 --json",
    )
    .action(async (artifact: string, { item, ...options }: Options) => {
      const { console } = context;
      const { api } = await connect(context, options);
      const items = await readRetention(api, { ...parseReference(artifact), item });
      if (options.json) return console.out(JSON.stringify(items, null, 2));
      if (items.length === 0) throw nothingOf(item);
      const rows = items.map((one) => [plainText(one.item) || "-", plainText(one.rule.text), plainText(fate(one))]);
      for (const line of renderTable([{ title: "ITEM" }, { title: "RULE" }, { title: "GOES" }], rows))
        console.out(line);
    });
}

/** When it goes, or what keeps it. */
function fate({ expired, pinned, endsAt, isNewest, neededBy }: VersionRetention): string {
  if (expired !== null) return `gone since ${formatLocal(expired.at)}: ${expired.by}`;
  if (pinned !== null) return `not while ${pinned.by} pins it${pinned.reason === null ? "" : ` (${pinned.reason})`}`;
  if (endsAt === null) return "never";
  const leftMs = Date.parse(endsAt) - Date.now();
  const when = leftMs > 0 ? `${formatUntil(leftMs)}, after ${formatLocal(endsAt)}` : "now";
  const keeps = [
    ...(isNewest ? ["as long as it is one of the newest"] : []),
    ...neededBy.map(({ run, live }) => (live ? `while ${run} goes on` : `while ${run} may be restarted`)),
  ];
  return keeps.length === 0 ? when : `${when}, but not ${keeps.join(", ")}`;
}
