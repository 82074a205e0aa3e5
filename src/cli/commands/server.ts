import type { Command } from "commander";
import { BerthError } from "../../protocol/errors.ts";
import type { CliContext } from "../context.ts";
import { berthHome, makeHome } from "../platform/home.ts";
import { type ListenOptions, listenEnvironment, withListenOptions } from "../platform/listen-options.ts";
import { registrationLine } from "../platform/registration-line.ts";
import { watchRequests } from "../platform/request-activity.ts";
import { serveUntilStopped, tellSupervisor } from "../platform/serve-until-stopped.ts";

export function define(command: Command, context: CliContext): void {
  withListenOptions(command)
    .addHelpText("after", HELP)
    .action((options: ListenOptions) => runServer(context, options));
}

const HELP = `
Without DATABASE_URL it runs PostgreSQL by itself in BERTH_HOME. Settings come from the environment:
docs/operating.md lists them.

Examples:
  berth server
  berth server --listen 0.0.0.0:7070 --tls generate
  DATABASE_URL=postgres://berth@db/berth BERTH_LISTEN=0.0.0.0:7411 berth server`;

async function runServer(context: CliContext, options: ListenOptions): Promise<void> {
  watchRequests(() => tellSupervisor({ type: "activity" }));
  const server = await context.programs
    .startServer({ env: { ...context.env, ...listenEnvironment(options) }, home: makeHome(berthHome(context.env)) })
    .catch((error: unknown) => {
      const advice = error instanceof BerthError && error.advice !== undefined ? [error.advice] : [];
      tellSupervisor({ type: "fatal", message: error instanceof Error ? error.message : String(error), advice });
      throw error;
    });
  tellSupervisor({ type: "ready", url: server.url });
  if (!process.connected) {
    context.console.note(`Berth server at ${server.url}. Ctrl-C stops it.`);
    const line = registrationLine(server);
    if (line !== null) {
      context.console.note(
        "To make another machine a worker of it (`berth token create --registration` makes a token):",
      );
      context.console.note(`  ${line}`);
    }
  }
  await serveUntilStopped(server);
}
