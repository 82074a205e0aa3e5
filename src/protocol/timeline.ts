import { z } from "zod";
import type { AttemptWait, Phases } from "./events.ts";

/**
 * Where the time of an attempt went, in order and without holes: `queue` until its worker had room for it, or a pause was
 * over; `image`; `inputs`; `running`; `outputs`. What took no time is left out; `to` is null while it lasts.
 */
export const Timeline = z.array(
  z.object({
    phase: z.enum(["queue", "image", "inputs", "running", "outputs"]),
    from: z.iso.datetime(),
    to: z.iso.datetime().nullable(),
  }),
);
export type Timeline = z.infer<typeof Timeline>;

interface Timed {
  readonly startedAt: Date;
  readonly finishedAt: Date | null;
  /** Null where its agent did not say. */
  readonly waited: AttemptWait | null;
  /** Empty until it has ended. */
  readonly phases: Phases;
}

/** Phases are told when an attempt has ended: one that has not is taken to be running. */
export function timelineOf({ startedAt, finishedAt, waited, phases }: Timed): Timeline {
  const start = startedAt.getTime();
  const { queueMs = 0, imageMs = 0 } = waited ?? {};
  const before = [
    ["queue", start - imageMs - queueMs, start - imageMs],
    ["image", start - imageMs, start],
  ] as const;
  if (finishedAt === null) return [...before.filter(tookTime).map(between), between(["running", start, null])];
  const end = Math.max(start, finishedAt.getTime());
  const ranFrom = Math.min(end, start + (phases.inputs ?? 0));
  const ranTo = Math.max(ranFrom, end - (phases.outputs ?? 0));
  const then = [
    ["inputs", start, ranFrom],
    ["running", ranFrom, ranTo],
    ["outputs", ranTo, end],
  ] as const;
  return [...before, ...then].filter(tookTime).map(between);
}

type Part = readonly [phase: Timeline[number]["phase"], fromMs: number, toMs: number | null];

/** In whole milliseconds, as it is shown. */
function tookTime([, fromMs, toMs]: readonly [string, number, number]): boolean {
  return Math.round(toMs) > Math.round(fromMs);
}

function between([phase, fromMs, toMs]: Part): Timeline[number] {
  return { phase, from: isoOf(fromMs), to: toMs === null ? null : isoOf(toMs) };
}

function isoOf(ms: number): string {
  return new Date(Math.round(ms)).toISOString();
}
