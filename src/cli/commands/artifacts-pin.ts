import type { Command } from "commander";
import { pinVersion, unpinVersion } from "../api/store.ts";
import { parseVersion } from "../artifacts/parse-version.ts";
import type { CliContext } from "../context.ts";
import { connect } from "../platform/connection.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";

type Options = WithServer<{ item?: string; reason?: string; json?: boolean }>;

/** `berth artifacts pin` and `unpin` */
export function defineArtifactsPin(parent: Command, context: CliContext): void {
  withServerOptions(parent.command("pin <artifact>"))
    .description("keep a version until it is unpinned, whatever the rules say")
    .option("--item <item>", "one item of a batch or matrix, such as 7 or model=knn")
    .option("--reason <text>", "why, for others")
    .option("--json", "print JSON")
    .addHelpText("after", '\nExample:\n  berth artifacts pin wine/train/model/3 --reason "in production"')
    .action(async (artifact: string, { item, reason, ...options }: Options) => {
      const { api } = await connect(context, options);
      const items = await pinVersion(api, { ...parseVersion(artifact), item }, reason ?? null);
      if (options.json) return context.console.out(JSON.stringify({ items }, null, 2));
      context.console.out(`${artifact}${itemsText(items)} stays until it is unpinned.`);
    });
  withServerOptions(parent.command("unpin <artifact>"))
    .description("leave a version to the rules again")
    .option("--item <item>", "one item of a batch or matrix")
    .option("--json", "print JSON")
    .addHelpText("after", "\nExample:\n  berth artifacts unpin wine/train/model/3")
    .action(async (artifact: string, { item, ...options }: Options) => {
      const { api } = await connect(context, options);
      const items = await unpinVersion(api, { ...parseVersion(artifact), item });
      if (options.json) return context.console.out(JSON.stringify({ items }, null, 2));
      context.console.out(
        items === 0 ? `${artifact} was not pinned.` : `${artifact}${itemsText(items)} is not pinned any more.`,
      );
    });
}

/** Of one item nothing has to be said. */
export function itemsText(items: number): string {
  return items === 1 ? "" : ` (${items} items)`;
}
