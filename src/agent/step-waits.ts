import type { StepRunSpec } from "../pipeline/step-runs.ts";
import type { AttemptWait } from "../protocol/events.ts";
import type { StepPlan } from "../protocol/plan.ts";

/** Step runs that wait for their image at once; further ones stay in the graph. */
export const PARKED_MAX = 1_000;

/**
 * How long attempts wait before they start, and for what: since the last of what a step run needs has ended, or its attempt
 * before, or its batch was split. An agent that was started again only knows the wait since then.
 */
export class StepWaits {
  readonly #needs: ReadonlyMap<string, readonly string[]>;
  readonly #beganAt = performance.now();
  /** When a step run of a step ended last, a batch was split, an attempt of a step run ended. */
  readonly #steps = new Map<string, number>();
  readonly #batches = new Map<string, number>();
  readonly #attempts = new Map<string, number>();
  /** Waits for images, by step run. */
  readonly #images = new Map<string, number>();

  constructor(steps: readonly Pick<StepPlan, "name" | "needs" | "when">[]) {
    this.#needs = new Map(steps.map(({ name, needs, when }) => [name, [...needs, ...(when?.steps ?? [])]]));
  }

  ended({ step }: StepRunSpec): void {
    this.#steps.set(step, performance.now());
  }

  split({ key }: StepRunSpec): void {
    this.#batches.set(key, performance.now());
  }

  /** Another attempt follows. */
  attemptEnded({ key }: StepRunSpec): void {
    this.#attempts.set(key, performance.now());
  }

  /** Measures a wait for an image. */
  async forImage<T>({ key }: StepRunSpec, ready: Promise<T>): Promise<T> {
    const startedAt = performance.now();
    try {
      return await ready;
    } finally {
      this.#images.set(key, (this.#images.get(key) ?? 0) + performance.now() - startedAt);
    }
  }

  /** Of the attempt that starts now. */
  take(stepRun: StepRunSpec): AttemptWait {
    const waitedMs = performance.now() - this.#readyAt(stepRun);
    const imageMs = Math.min(this.#images.get(stepRun.key) ?? 0, waitedMs);
    this.#images.delete(stepRun.key);
    return { queueMs: Math.round(waitedMs - imageMs), imageMs: Math.round(imageMs) };
  }

  #readyAt({ key, step, parent }: StepRunSpec): number {
    const before = this.#attempts.get(key) ?? (parent === null ? undefined : this.#batches.get(parent));
    if (before !== undefined) return before;
    const needs = this.#needs.get(step) ?? [];
    return Math.max(this.#beganAt, ...needs.map((need) => this.#steps.get(need) ?? 0));
  }
}
