import { deadline } from "../runtime/run-deadline.ts";

/** How long step runs that could start may wait for room on the worker: one timer for each that waits and has a limit. */
export class QueueLimits implements Disposable {
  readonly #limitOf: (step: string) => number | null;
  readonly #onExpired: (key: string, limitMs: number) => void;
  readonly #timers = new Map<string, Disposable>();
  /** Whether any step has a limit; if none has, nobody has to be told who waits. */
  readonly any: boolean;

  constructor(
    steps: readonly { readonly name: string; readonly resources: { readonly queueTimeoutMs: number | null } }[],
    onExpired: (key: string, limitMs: number) => void,
  ) {
    const limits = new Map(steps.map(({ name, resources }) => [name, resources.queueTimeoutMs]));
    this.#limitOf = (step) => limits.get(step) ?? null;
    this.#onExpired = onExpired;
    this.any = steps.some(({ resources }) => resources.queueTimeoutMs !== null);
  }

  /** It waits from now on, if it did not before. */
  begin({ key, step }: { readonly key: string; readonly step: string }): void {
    const limitMs = this.#limitOf(step);
    if (limitMs === null || this.#timers.has(key)) return;
    const expire = () => {
      this.#timers.delete(key);
      this.#onExpired(key, limitMs);
    };
    this.#timers.set(key, deadline(limitMs, expire));
  }

  /** It waits no longer. */
  end(key: string): void {
    this.#timers.get(key)?.[Symbol.dispose]();
    this.#timers.delete(key);
  }

  [Symbol.dispose](): void {
    for (const key of [...this.#timers.keys()]) this.end(key);
  }
}
