import { setTimeout } from "node:timers/promises";
import type { Engine } from "./engine.ts";
import { isStatus } from "./engine-error.ts";

/** The engine is busy with the same container, for someone else or in the middle of its end. */
const RETRY_INTERVAL_MS = 50;
const RETRIES_MAX = 200;

/** Removes a container, running or not, and returns when it is gone. Not there is fine. */
export async function removeContainer(engine: Engine, name: string): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      await engine.removeContainer(name);
      return;
    } catch (error) {
      if (isStatus(error, 404)) return;
      // 409: removal is already in progress; 500: a mount is still busy, or "could not kill" what just ended.
      if (!isStatus(error, 409, 500) || tries >= RETRIES_MAX) throw error;
    }
    await setTimeout(RETRY_INTERVAL_MS);
  }
}
