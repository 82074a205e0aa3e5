import type { Command } from "commander";
import { clearCache } from "../api/cache.ts";
import type { CliContext } from "../context.ts";
import { connect } from "../platform/connection.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";

type Options = WithServer<{ step?: string; json?: boolean }>;

/** `berth cache clear PIPELINE` */
export function defineCacheClear(parent: Command, context: CliContext): void {
  withServerOptions(parent.command("clear <pipeline>"))
    .description("give up what was made so far: later runs make it again")
    .option("--step <name>", "of this step alone")
    .option("--json", "print JSON")
    .addHelpText("after", "\nArtifacts stay. Example:\n  berth cache clear wine --step train")
    .action(async (pipeline: string, options: Options) => {
      const forgotten = await clearCache((await connect(context, options)).api, pipeline, options.step ?? null);
      if (options.json) context.console.out(JSON.stringify({ forgotten }));
      else context.console.out(`${forgotten} ${forgotten === 1 ? "result is" : "results are"} not taken any more.`);
    });
}
