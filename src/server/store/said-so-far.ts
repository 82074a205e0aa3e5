import type { LiveMessage } from "../../protocol/messages.ts";
import type { Database } from "./database.ts";
import { metricsSince, progressSince } from "./messages.ts";

/** Most of each that one look finds; the rest is news to the next one. */
const NEWS_MAX = 500;
/** Looks at a run are as frequent as its log lines; agents tell what steps say once per second. */
const LOOK_INTERVAL_MS = 500;

/** What the steps of one run say, for one who watches it: at first the newest of everything, then what changes. */
export class SaidSoFar {
  readonly #database: Database;
  readonly #run: string;
  #progress = 0;
  #metrics = 0;
  #lookedAtMs = -LOOK_INTERVAL_MS;

  constructor(database: Database, run: string) {
    this.#database = database;
    this.#run = run;
  }

  /**
   * May leave out what was soon followed by newer; never repeats itself while nothing changes. Nothing right after it was
   * asked before, unless it is the last time.
   */
  async news(isLast: boolean): Promise<LiveMessage[]> {
    if (!isLast && performance.now() < this.#lookedAtMs + LOOK_INTERVAL_MS) return [];
    this.#lookedAtMs = performance.now();
    const { pool } = this.#database;
    const progress = await progressSince(pool, this.#run, this.#progress, NEWS_MAX);
    const metrics = await metricsSince(pool, this.#run, this.#metrics, NEWS_MAX);
    this.#progress = progress.at(-1)?.revision ?? this.#progress;
    this.#metrics = metrics.at(-1)?.revision ?? this.#metrics;
    return [...progress, ...metrics].map(({ message }) => message);
  }
}
