import { BerthError } from "../../src/protocol/errors.ts";
import type { Poller } from "../../src/server/scheduling/claim.ts";
import type { ServerApi } from "./server-api.ts";
import { currentProcess, runIn, type Scheduler, type SimulatedProcess } from "./world/virtual-time.ts";

/** One request's method and arguments, as they travel. */
interface Call {
  readonly from: SimulatedProcess;
  readonly poller: Poller;
  readonly method: keyof ServerApi["agent"];
  readonly args: readonly unknown[];
  readonly deadlineMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** What happens to requests by chance. */
export interface Weather {
  /** Of a request, and of an answer, to get lost: the client hears nothing until its deadline. */
  readonly loss: number;
  /** Of a connection to break, before the server did anything, or after. */
  readonly breaks: number;
  /** Of a request to arrive twice, the second time up to LATE_MAX_MS later. */
  readonly duplicates: number;
  /** Of a request to take up to LATE_MAX_MS. */
  readonly late: number;
  /** The longest that the upload of a blob takes. */
  readonly uploadMaxMs: number;
}

export const FAIR: Weather = { loss: 0, breaks: 0, duplicates: 0, late: 0, uploadMaxMs: 0 };

/** A machine's way to the servers: which directions pass. */
export interface Link {
  up: boolean;
  down: boolean;
}

const DELAY_MAX_MS = 20;
const LATE_MAX_MS = 40_000;
/** How often a server that holds a poll looks again when nothing woke it. */
const LOOK_INTERVAL_MS = 5_000;
const REFUSED_AFTER_MS = 2;

/** One replica: it holds nothing but the requests that are under way. */
export class Server {
  readonly name: string;
  process: SimulatedProcess | null = null;
  /** Breaks the connections of the requests that it has under way. */
  readonly open = new Set<() => void>();

  constructor(name: string) {
    this.name = name;
  }

  crash(): void {
    this.process?.kill();
    this.process = null;
    for (const breakOff of this.open) breakOff();
    this.open.clear();
  }
}

export interface NetworkOptions {
  readonly scheduler: Scheduler;
  readonly api: ServerApi;
  readonly servers: readonly Server[];
  /** By name of the machine. */
  readonly links: ReadonlyMap<string, Link>;
  /** Every write that a server answered, for the judge. */
  onServed(call: Pick<Call, "poller" | "method" | "args">, answer: unknown): void;
  onRefused(call: Pick<Call, "poller" | "method" | "args">, error: BerthError): void;
  onSent(call: Pick<Call, "from" | "method" | "args">): void;
  /** The agent heard this. */
  onHeard(call: Pick<Call, "from" | "poller" | "method" | "args">, answer: unknown): void;
  trace(line: string): void;
}

/** Carries requests from agents to servers and back, late, twice or not at all. */
export class Network {
  weather: Weather = FAIR;
  /** Whether the store answers the servers. */
  storeIsUp = true;
  readonly #options: NetworkOptions;
  readonly #firstBoots = new Map<string, Call>();
  #wakeups = new Set<() => void>();

  constructor(options: NetworkOptions) {
    this.#options = options;
  }

  /** Something changed that polls may wait for. */
  wake(): void {
    const waiting = this.#wakeups;
    this.#wakeups = new Set();
    for (const wake of waiting) wake();
  }

  /** The first request by which a machine's agent announced itself arrives once more, after all this time. */
  repeatFirstBoot(machine: string): void {
    const { random } = this.#options.scheduler;
    const boot = this.#firstBoots.get(machine);
    const server = random.pick(this.#options.servers);
    if (boot !== undefined && server.process !== null) void this.#serve(server, boot);
  }

  call<T>(call: Call): Promise<T> {
    const { scheduler, links } = this.#options;
    const { random } = scheduler;
    const { from, signal } = call;
    const travelling = { ...call, args: call.args.map(copy) };
    this.#options.onSent(travelling);
    if (call.method === "boot" && !this.#firstBoots.has(from.name)) this.#firstBoots.set(from.name, travelling);
    return new Promise<T>((resolve, reject) => {
      let isOver = false;
      const over = (act: () => void) => {
        if (isOver) return;
        isOver = true;
        timer.cancel();
        signal?.removeEventListener("abort", onAbort);
        act();
      };
      const refuse = (why: string) => reject(new BerthError("unavailable", why));
      const fail = (why: string) => over(() => refuse(why));
      const onAbort = () => over(() => reject(signal!.reason));
      const timer = scheduler.schedule(call.deadlineMs, () => fail("no answer in time"), from);
      if (signal?.aborted) return onAbort();
      signal?.addEventListener("abort", onAbort, { once: true });

      const answer = (act: () => void, label: string) => {
        const link = links.get(from.name);
        if (link?.down === false || random.chance(this.weather.loss)) return;
        scheduler.schedule(
          random.integer(1, DELAY_MAX_MS),
          () =>
            over(() => {
              this.#options.trace(`${from.name} hears ${label}`);
              act();
            }),
          from,
        );
      };
      if (links.get(from.name)?.up === false || random.chance(this.weather.loss)) return;
      const hear = (error: BerthError) => {
        this.#options.onHeard(travelling, error);
        const details = error.details === undefined ? {} : { details: copy(error.details) };
        reject(new BerthError(error.code, error.message, details));
      };
      const arrive = (isCopy: boolean) => {
        const server = random.pick(this.#options.servers);
        if (server.process === null) {
          scheduler.schedule(REFUSED_AFTER_MS, () => fail("connection refused"), from);
          return;
        }
        const breaks = random.chance(this.weather.breaks) ? random.pick(["before", "after"]) : null;
        if (breaks === "before") return answer(() => refuse("connection reset"), "a reset");
        const breakOff = () => answer(() => refuse("connection reset"), "a reset");
        server.open.add(breakOff);
        void this.#serve(server, travelling).then((done) => {
          server.open.delete(breakOff);
          if (isCopy || done === null) return;
          if (breaks === "after") return answer(() => refuse("connection reset"), "a reset");
          if (done.error !== undefined) return answer(() => hear(done.error), done.error.code);
          answer(() => {
            this.#options.onHeard(travelling, done.value);
            resolve(copy(done.value) as T);
          }, call.method);
        });
      };
      const late = random.chance(this.weather.late) ? random.integer(0, LATE_MAX_MS) : 0;
      const upload = call.method === "putBlob" ? random.integer(0, this.weather.uploadMaxMs) : 0;
      scheduler.schedule(random.integer(1, DELAY_MAX_MS) + late + upload, () => arrive(false), "outside");
      if (random.chance(this.weather.duplicates))
        scheduler.schedule(random.integer(1, LATE_MAX_MS), () => arrive(true), "outside");
    });
  }

  /** Null when the server dies meanwhile; then its connections are gone. */
  #serve(server: Server, call: Call): Promise<{ value: unknown; error?: never } | { error: BerthError } | null> {
    const { process } = server;
    return runIn(process ?? undefined, async () => {
      try {
        const value = call.method === "poll" ? await this.#poll(call) : await this.#handle(call);
        this.#options.trace(`${server.name} answers ${call.method} of ${call.poller.boot.slice(-4)}`);
        if (call.method === "events" || call.method === "boot") this.wake();
        return process?.alive === true ? { value } : null;
      } catch (error) {
        if (!(error instanceof BerthError)) throw error;
        this.#options.trace(`${server.name} refuses ${call.method} of ${call.poller.boot.slice(-4)}: ${error.code}`);
        this.#options.onRefused(call, error);
        return process?.alive === true ? { error } : null;
      }
    });
  }

  async #handle({ poller, method, args }: Call): Promise<unknown> {
    if (!this.storeIsUp) throw new BerthError("unavailable", "the database does not answer");
    const handler = this.#options.api.agent[method] as (...args: readonly unknown[]) => Promise<unknown>;
    const answer = await runIn(undefined, () => handler(poller, ...args.map(copy)));
    this.#options.onServed({ poller, method, args }, answer);
    return answer;
  }

  async #poll(call: Call): Promise<unknown> {
    const { scheduler } = this.#options;
    const [{ waitMs }] = call.args as readonly [{ readonly waitMs: number }];
    const until = scheduler.nowMs + waitMs;
    for (;;) {
      const answer = (await this.#handle(call)) as Record<string, readonly unknown[]>;
      if (scheduler.nowMs >= until || Object.values(answer).some((found) => found.length > 0)) return answer;
      const waiting = currentProcess();
      await new Promise<void>((resolve) => {
        const timer = scheduler.schedule(Math.min(LOOK_INTERVAL_MS, until - scheduler.nowMs), resolve);
        this.#wakeups.add(() => {
          timer.cancel();
          scheduler.schedule(1, resolve, waiting);
        });
      });
    }
  }
}

/** What arrives is never the very object that was sent. */
function copy<T>(value: T): T {
  if (Buffer.isBuffer(value)) return Buffer.from(value) as T & Buffer;
  return value === undefined ? value : (JSON.parse(JSON.stringify(value)) as T);
}
