import { z } from "zod";
import { ErrorBody } from "./errors.ts";
import { idOf } from "./ids.ts";
import { Name } from "./names.ts";
import { CancelRunRequest, PageQuery, RestartRunRequest, Run, Waiting } from "./resources.ts";
import { StartedBy } from "./started-by.ts";
import { RunState } from "./states.ts";

/** Lists of runs, and what is done to several of them at once. */

/** `schedule`, or `schedule:wine/nightly`: what started a run, with its name or any. */
export const StarterFilter = z
  .string()
  .max(300)
  .transform((text) => {
    const colon = text.indexOf(":");
    return colon < 0 ? { kind: text, name: null } : { kind: text.slice(0, colon), name: text.slice(colon + 1) };
  })
  .pipe(
    z.object({
      kind: z.enum(
        StartedBy.options.map(({ shape }) => shape.kind.value),
        "must be person, schedule or trigger, and may go on with a name: trigger:push",
      ),
      name: z.string().nullable(),
    }),
  );

/** `GET /runs`. A run is listed when everything that is said fits it. */
export const RunListQuery = PageQuery.extend({
  /** One state, or several with commas between. */
  state: z
    .string()
    .max(200)
    .transform((text) => text.split(","))
    .pipe(z.array(RunState))
    .optional(),
  pipeline: z.string().max(100).optional(),
  /** Who holds or held it, by id or by name. */
  worker: z.string().max(100).optional(),
  /** A label that its worker must have; all of them, where it is given several times. */
  label: z
    .union([z.string(), z.array(z.string()).max(50)])
    .transform((given) => (typeof given === "string" ? [given] : given))
    .optional(),
  /** Submitted at or after this time, and before that one. */
  since: z.iso.datetime({ offset: true }).optional(),
  until: z.iso.datetime({ offset: true }).optional(),
  startedBy: StarterFilter.optional(),
  /** A part of its name, its parameters, a label, who started it or its worker, in any case of letters; or its whole id. */
  text: z.string().min(1).max(200).optional(),
});
export type RunListQuery = z.infer<typeof RunListQuery>;

/** A run in a list. */
export const ListedRun = Run.extend({
  /** Why a queued run waits, in a sentence. `possible` is false when no registered worker could ever take it. */
  waiting: Waiting.pick({ summary: true, possible: true }).nullable(),
});
export type ListedRun = z.infer<typeof ListedRun>;

/** Runs that one request may name; whoever has more asks again. */
export const BULK_RUNS_MAX = 100;

const RunReferences = z.array(z.string().min(1).max(120)).min(1).max(BULK_RUNS_MAX);

/** `POST /runs/cancel` */
export const BulkCancelRequest = CancelRunRequest.extend({ runs: RunReferences });
/** `POST /runs/restart`. Of each run the request key is this one with the run's id after it. */
export const BulkRestartRequest = RestartRunRequest.extend({
  runs: RunReferences,
  requestKey: z.string().min(1).max(150).optional(),
});

const Failed = ErrorBody.shape.error.omit({ requestId: true });

/** What became of each, in the order of the request; `error` is what a request for it alone would have been answered. */
export const BulkCancelled = z.object({
  items: z.array(
    z.object({
      /** As it was named. */
      run: z.string(),
      /** The state that it is in now; null with an error. */
      state: RunState.nullable(),
      error: Failed.nullable(),
    }),
  ),
});
export type BulkCancelled = z.infer<typeof BulkCancelled>;

export const BulkRestarted = z.object({
  items: z.array(
    z.object({
      run: z.string(),
      /** The run that was made; null with an error. */
      made: z.object({ id: idOf("run"), pipeline: Name, number: z.int() }).nullable(),
      error: Failed.nullable(),
    }),
  ),
});
export type BulkRestarted = z.infer<typeof BulkRestarted>;
