import { BackendError, type BackendSession, type Handle, type Observation } from "../backends/execution-backend.ts";
import { fault } from "../protocol/faults.ts";

/** The net under `watch`: all attempts that are waited for are observed this often. */
const POLL_INTERVAL_MS = 1_000;
/** Attempts in one call of `observe`. */
const OBSERVE_BATCH_MAX = 500;
/** How long a platform may fail to answer about an attempt before that is taken for its end. Engines restart in less. */
const OUTAGE_MAX_MS = 5 * 60_000;
/** The subscription is given up when nothing was waited for this long. */
const WATCH_IDLE_MS = 10_000;

interface Waiting {
  readonly handle: Handle;
  readonly resolve: (observation: Observation) => void;
  readonly reject: (error: unknown) => void;
  /** On the monotonic clock; null while the platform answers. */
  failingSinceMs: number | null;
}

const waiters = new WeakMap<BackendSession, EndWaiter>();

/** The one waiter of a session. */
export function endWaiterOf(session: BackendSession): EndWaiter {
  const known = waiters.get(session);
  if (known !== undefined) return known;
  const waiter = new EndWaiter(session);
  waiters.set(session, waiter);
  return waiter;
}

/**
 * Waits for the ends of any number of attempts with one subscription, one timer and batched questions. Hints make it
 * fast, the poll makes it certain; what counts is only what `observe` says.
 */
export class EndWaiter {
  readonly #session: BackendSession;
  readonly #waiting = new Map<string, Waiting>();
  /** To be asked about in the next batch. */
  readonly #due = new Set<string>();
  /** Hints about attempts that are not waited for yet: submitted, and quicker than their submitter. */
  readonly #early = new Set<string>();
  #visitors = 0;
  #watch: Disposable | null = null;
  #watchIdle: NodeJS.Timeout | null = null;
  #poll: NodeJS.Timeout | null = null;
  #asking = false;

  constructor(session: BackendSession) {
    this.#session = session;
  }

  /** Listens for hints until disposed: entered before `submit`, no end can be missed between that and `wait`. */
  enter(): Disposable {
    this.#visitors++;
    if (this.#watchIdle !== null) clearTimeout(this.#watchIdle);
    this.#watchIdle = null;
    this.#watch ??= this.#session.watch((name) => this.#hint(name));
    return { [Symbol.dispose]: () => this.#leave() };
  }

  /**
   * The terminal observation of an attempt. `fresh` says that it was submitted within this visit, so that asking can
   * wait for a hint; anything else is asked about at once. Throws when the platform's failing to answer is final, and
   * the signal's reason when it is aborted.
   */
  async wait(handle: Handle, options: { readonly fresh: boolean; readonly signal: AbortSignal }): Promise<Observation> {
    options.signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<Observation>();
    const onAbort = () => reject(options.signal.reason);
    options.signal.addEventListener("abort", onAbort, { once: true });
    const waiting: Waiting = { handle, resolve, reject, failingSinceMs: null };
    this.#waiting.set(handle.name, waiting);
    this.#poll ??= setInterval(() => this.#ask([...this.#waiting.keys()]), POLL_INTERVAL_MS);
    if (this.#early.delete(handle.name) || !options.fresh) this.#ask([handle.name]);
    try {
      return await promise;
    } finally {
      options.signal.removeEventListener("abort", onAbort);
      if (this.#waiting.get(handle.name) === waiting) this.#waiting.delete(handle.name);
      if (this.#waiting.size === 0) this.#stopPolling();
    }
  }

  #leave(): void {
    if (--this.#visitors > 0) return;
    this.#early.clear();
    this.#watchIdle = setTimeout(() => {
      this.#watch?.[Symbol.dispose]();
      this.#watch = null;
    }, WATCH_IDLE_MS).unref();
  }

  #stopPolling(): void {
    if (this.#poll !== null) clearInterval(this.#poll);
    this.#poll = null;
  }

  #hint(name: string): void {
    if (this.#waiting.has(name)) this.#ask([name]);
    else if (this.#visitors > 0) this.#early.add(name);
  }

  #ask(names: readonly string[]): void {
    for (const name of names) this.#due.add(name);
    if (this.#asking) return;
    this.#asking = true;
    // What else was hinted at within this turn goes into the same question.
    setImmediate(() => void this.#askAll());
  }

  async #askAll(): Promise<void> {
    while (this.#due.size > 0) {
      const names = [...this.#due].slice(0, OBSERVE_BATCH_MAX);
      for (const name of names) this.#due.delete(name);
      const asked = names.flatMap((name) => this.#waiting.get(name) ?? []);
      if (asked.length > 0) await this.#askAbout(asked);
    }
    this.#asking = false;
  }

  async #askAbout(asked: readonly Waiting[]): Promise<void> {
    let answers: Map<string, Observation | BackendError>;
    try {
      answers = await this.#session.observe(asked.map((waiting) => waiting.handle));
    } catch (error) {
      for (const waiting of asked) this.#failed(waiting, error);
      return;
    }
    for (const waiting of asked) {
      const answer = answers.get(waiting.handle.name);
      if (answer === undefined || answer instanceof Error) this.#failed(waiting, answer ?? noAnswer(waiting.handle));
      else if (answer.state === "terminal") waiting.resolve(answer);
      else waiting.failingSinceMs = null;
    }
  }

  #failed(waiting: Waiting, error: unknown): void {
    const now = performance.now();
    waiting.failingSinceMs ??= now;
    const isFinal = error instanceof BackendError && !error.retryable;
    if (isFinal || now - waiting.failingSinceMs > OUTAGE_MAX_MS) waiting.reject(error);
  }
}

function noAnswer(handle: Handle): BackendError {
  return new BackendError(
    "internal",
    fault("agent-error", `The backend said nothing about the attempt ${handle.name}`),
  );
}
