import type { Command } from "commander";
import { sessionLink } from "../api/sessions.ts";
import type { CliContext } from "../context.ts";
import { openBrowser } from "../login/open-browser.ts";
import { connect } from "../platform/connection.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";

interface UiOptions extends WithServer {
  readonly browser: boolean;
  readonly json?: boolean;
}

/** `berth ui`: a link to the web UI that logs in whoever opens it first, with what this command may. */
export function define(command: Command, context: CliContext): void {
  withServerOptions(command)
    .option("--no-browser", "only print the link")
    .option("--json", "print JSON")
    .addHelpText("after", HELP)
    .action(async ({ browser, json, ...options }: UiOptions) => {
      const { api } = await connect(context, options);
      const link = await sessionLink(api);
      const { console, env } = context;
      if (json) {
        console.out(JSON.stringify(link));
        return;
      }
      console.out(link.url);
      console.note("It logs one browser in, within ten minutes. Who has it may what you may.");
      if (browser) openBrowser(link.url, env);
    });
}

const HELP = `
Examples:
  berth ui
  berth ui --server https://berth.example.com:7070 --no-browser`;
