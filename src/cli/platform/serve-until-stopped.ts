import type { Running } from "../context.ts";
import type { ChildMessage } from "./supervised-child.ts";

/** Node keeps `send` when the other end goes, so that a supervisor that is gone already is told from one never there. */
const isSupervised = process.send !== undefined;

/** Says something to the supervisor, when there is one. */
export function tellSupervisor(message: ChildMessage): void {
  if (process.connected) process.send?.(message);
}

/**
 * Lets a long-running program run until it ends by itself, a signal asks it to, or its supervisor is gone; also while it
 * is still starting, so that it leaves nothing half made. A second signal does not wait for the orderly end.
 *
 * @param whenReady called once it is ready, unless it ends before
 */
export async function serveUntilStopped(
  running: Running & { readonly ready?: Promise<void> },
  whenReady: () => void = () => {},
): Promise<void> {
  const { promise: stopped, resolve: stop } = Promise.withResolvers<void>();
  const onSignal = () => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      process.off(signal, onSignal);
      process.once(signal, () => process.exit(signal === "SIGINT" ? 130 : 143));
    }
    stop();
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  process.once("disconnect", stop);
  if (isSupervised && !process.connected) stop();
  // A start that failed ends it, which `closed` tells.
  running.ready?.then(whenReady, () => {});
  try {
    await Promise.race([stopped, running.closed]);
  } finally {
    await running.close();
    if (process.connected) process.disconnect();
  }
}
