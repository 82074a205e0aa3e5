import { setTimeout } from "node:timers/promises";
import type { Engine } from "./engine.ts";
import { jsonLines } from "./json-lines.ts";

const RETRY_FIRST_MS = 500;
const RETRY_MAX_MS = 15_000;

interface EngineEvent {
  readonly Action?: string;
  readonly Actor?: { readonly Attributes?: { readonly name?: string } };
}

export interface EventHandlers {
  /** A container of this name stopped running, or was removed. */
  readonly onEnd: (name: string) => void;
  /** Events may have been missed. */
  readonly onGap: () => void;
}

/** Follows the engine's events about containers with this label until aborted, through restarts of the engine. */
export async function followEvents(
  engine: () => Promise<Engine>,
  label: string,
  { onEnd, onGap }: EventHandlers,
  signal: AbortSignal,
): Promise<void> {
  let retryMs = RETRY_FIRST_MS;
  while (!signal.aborted) {
    try {
      const stream = await (await engine()).events(label, signal);
      onGap();
      retryMs = RETRY_FIRST_MS;
      for await (const { Action, Actor } of jsonLines<EngineEvent>(stream)) {
        const name = Actor?.Attributes?.name;
        if (name !== undefined && (Action === "die" || Action === "destroy")) onEnd(name);
      }
    } catch {
      // Events are hints: what the engine has to say about being away is said by the calls that need it.
    }
    await setTimeout(retryMs, null, { signal, ref: false }).catch(() => {});
    retryMs = Math.min(retryMs * 2, RETRY_MAX_MS);
  }
}
