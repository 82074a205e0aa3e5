import type { Logger } from "pino";
import type { RunGraph } from "../pipeline/graph.ts";
import type { EndState } from "../pipeline/run-graph-node.ts";
import type { Consequence } from "../pipeline/step-runs.ts";
import type { AgentEventBody } from "../protocol/events.ts";
import { type Fault, fault } from "../protocol/faults.ts";
import { durably } from "./durably.ts";
import type { FirstFaults } from "./first-faults.ts";
import type { RunAttempts } from "./run-attempts.ts";
import type { RunLink } from "./run-link.ts";
import type { StepStops } from "./step-stops.ts";

export interface StepReportsOptions {
  readonly graph: Pick<RunGraph, "producers">;
  readonly attempts: Pick<RunAttempts, "releasePrepared">;
  readonly link: RunLink;
  readonly faults: FirstFaults;
  readonly stops: StepStops;
  readonly log: Logger;
}

/** What is told of step runs that end without an attempt of their own. */
export class StepReports {
  readonly #options: StepReportsOptions;

  constructor(options: StepReportsOptions) {
    this.#options = options;
  }

  report(body: AgentEventBody): Promise<void> {
    const { link, log } = this.#options;
    return durably(() => link.outbox.report(body), { signal: link.signal, log });
  }

  /**
   * Reports what followed from the ends of `causes`, after these: whoever takes the run over makes again what was not
   * reported, perhaps otherwise.
   */
  async consequences(consequences: readonly Consequence[], causes: readonly string[] = []): Promise<void> {
    const { attempts, link, graph, faults } = this.#options;
    for (const { stepRun, state, byCondition } of consequences) {
      const { key } = stepRun;
      if (state !== "succeeded") attempts.releasePrepared(key);
      if (state === "failed") faults.note(stepRun, faults.ofBatch(key));
      const why = state === "succeeded" ? null : this.#faultOf(key, state, byCondition);
      const finished = { type: "step.finished", stepRun: key, state, fault: why } as const;
      if (link.commits.isIdle) {
        await this.report(finished);
      } else {
        const items = graph.producers(stepRun.step).map((producer) => producer.key);
        const needs = { stepRun: key, reads: [...causes, ...items], outputs: [] };
        link.commits.reportWhenReady(needs, () => this.report(finished));
      }
    }
  }

  #faultOf(key: string, state: Exclude<EndState, "succeeded">, byCondition: boolean): Fault {
    const { faults, stops } = this.#options;
    if (state === "failed") return faults.ofBatch(key);
    if (state === "cancelled") return stops.faultOf(key);
    if (byCondition)
      return fault("condition", "It is not wanted: a condition is not met, or what it reads was not made.");
    return fault("upstream-failed", "A step that this one needs did not succeed.");
  }
}
