import { useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import type { AgentEventBody, ServerEventBody } from "../../../src/protocol/events.ts";
import { apiUrl } from "../api/client.ts";
import { run, runPath } from "../api/queries.ts";

/** So many changes are drawn a second, however many events come. */
const REFRESH_EVERY_MS = 300;

type EventType = AgentEventBody["type"] | ServerEventBody["type"] | "attempt.progress";

/** What ends the stream: the browser would begin it again otherwise. */
const LAST = "run.finished" satisfies EventType;
/** Each is listened to by its name; the compiler misses one that is left out. */
const TYPES = Object.keys({
  "run.created": true,
  "run.held_back": true,
  "run.admitted": true,
  "run.leased": true,
  "run.released": true,
  "run.cancel_requested": true,
  "run.started": true,
  "image.ready": true,
  "step.expanded": true,
  "attempt.started": true,
  "attempt.progress": true,
  "attempt.finished": true,
  "step.cached": true,
  "step.finished": true,
  "run.finished": true,
} satisfies Record<EventType, true>);

/**
 * Keeps what is shown of a run up to date by its events, while `isLive`. The browser asks for the stream again by itself
 * where it broke, from the last event on that it had.
 */
export function useRunEvents(pipeline: string, number: string, isLive: boolean): void {
  const client = useQueryClient();
  useEffect(() => {
    if (!isLive) return;
    const { queryKey } = run(pipeline, number);
    let timer: ReturnType<typeof setTimeout> | null = null;
    const refresh = () => {
      timer ??= setTimeout(() => {
        timer = null;
        void client.invalidateQueries({ queryKey });
      }, REFRESH_EVERY_MS);
    };
    const source = new EventSource(apiUrl(`${runPath(pipeline, number)}/events`));
    for (const type of TYPES) source.addEventListener(type, refresh);
    source.addEventListener(LAST, () => source.close());
    // What happened meanwhile is asked for, whatever its events are called.
    source.addEventListener("open", refresh);
    return () => {
      source.close();
      if (timer !== null) clearTimeout(timer);
    };
  }, [client, pipeline, number, isLive]);
}
