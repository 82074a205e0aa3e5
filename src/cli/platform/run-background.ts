import { CliError } from "../cli-error.ts";
import type { CliContext } from "../context.ts";
import { onInterrupt } from "../on-interrupt.ts";
import type { BackgroundMessage } from "./background.ts";
import { embeddedEndpoint } from "./embedded-endpoint.ts";
import { berthHome } from "./home.ts";
import { IDLE_STOP_MS, IdleWatch } from "./idle-watch.ts";
import { isNeeded } from "./is-needed.ts";
import { AlreadyUp, supervise } from "./supervisor.ts";

/** The platform as another command started it: tells that one when it is ready, and ends when nobody needs it. */
export async function runBackgroundPlatform(context: CliContext): Promise<void> {
  const home = berthHome(context.env);
  const stop = new AbortController();
  const log = (line: string) => context.console.note(`${new Date().toISOString()} ${line}`);
  using _interrupt = onInterrupt(() => stop.abort());
  using idle = new IdleWatch({
    isNeeded: () => isNeeded(() => embeddedEndpoint(home)),
    onIdle: () => {
      log(`nobody needed Berth for ${IDLE_STOP_MS / 60_000} minutes; stopping`);
      stop.abort();
    },
  });
  try {
    await supervise({
      context,
      home,
      background: true,
      signal: stop.signal,
      log,
      onReady: ({ url }) => {
        log(`up at ${url}`);
        tellStarter({ type: "ready" });
      },
      onActivity: () => idle.touch(),
    });
  } catch (error) {
    tellStarter(failureMessage(error));
    throw error;
  }
}

function failureMessage(error: unknown): BackgroundMessage {
  if (error instanceof AlreadyUp) return { type: "already-up" };
  const message = error instanceof Error ? error.message : String(error);
  return { type: "failed", message, advice: error instanceof CliError ? error.advice : [] };
}

/** The command that started this one may be gone by now, which is no reason to stop. */
function tellStarter(message: BackgroundMessage): void {
  if (!process.connected) return;
  process.send?.(message, undefined, undefined, () => {
    if (process.connected) process.disconnect();
  });
}
