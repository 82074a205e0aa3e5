import type { Logger } from "pino";
import type { RunGraph } from "../pipeline/graph.ts";
import type { StepRunSpec } from "../pipeline/step-runs.ts";
import type { RunAttempts } from "./run-attempts.ts";
import type { StepCache } from "./step-cache.ts";
import type { StepStops } from "./step-stops.ts";
import type { StepTries } from "./step-tries.ts";
import type { Works } from "./step-works.ts";

/**
 * How far ahead objects are made: creating and starting a container takes longer than a short step runs, so that one
 * alone would still be waited for.
 */
const DEPTH = 2;
/** A step that ends sooner gains nothing from the next being made ready meanwhile. */
const DELAY_MS = 25;

export interface PrepareAheadOptions {
  readonly graph: Pick<RunGraph, "readyAfter">;
  readonly works: Pick<Works, "need" | "ready" | "work">;
  readonly attempts: Pick<RunAttempts, "prepare" | "prepared" | "preparedCount">;
  readonly tries: StepTries;
  readonly stops: StepStops;
  readonly cache: Pick<StepCache, "applies">;
  /** How many step runs are made ready behind those that run; 0 where the backend cannot. */
  readonly aheadMax: number;
  readonly log: Logger;
}

/** Makes the objects of step runs while the ones before them run. */
export class PrepareAhead {
  readonly #options: PrepareAheadOptions;

  constructor(options: PrepareAheadOptions) {
    this.#options = options;
  }

  /** This step run runs, until the answer is disposed of. */
  begin(stepRun: StepRunSpec): Disposable {
    const timer = setTimeout(() => this.#prepareNext(stepRun), DELAY_MS);
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  }

  /** What starts when this step run has succeeded, and what starts after that. */
  #prepareNext(stepRun: StepRunSpec): void {
    const { graph, log } = this.#options;
    try {
      let next = [stepRun];
      for (let depth = 0; depth < DEPTH; depth++) {
        next = next.flatMap(({ key }) => graph.readyAfter(key));
        for (const one of next) this.#prepare(one);
      }
    } catch (error) {
      // Only time is lost: the attempt is made when its turn has come.
      log.warn({ err: error }, "a step could not be made ready ahead of its turn");
    }
  }

  #prepare(stepRun: StepRunSpec): void {
    const { works, attempts, aheadMax, tries, stops, cache } = this.#options;
    if (stops.has(stepRun.key) || stepRun.isBatch || attempts.preparedCount >= aheadMax) return;
    // What may be known already may not have to run.
    if (cache.applies(stepRun)) return;
    if (attempts.prepared(stepRun.key) !== undefined || works.ready(stepRun) !== null) return;
    // Which GPUs it gets is decided when its turn has come.
    if (works.need(stepRun, tries.of(stepRun.key)).gpus > 0) return;
    attempts.prepare(works.work(stepRun, tries.of(stepRun.key)));
  }
}
