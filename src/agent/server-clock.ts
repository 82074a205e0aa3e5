import type { IncomingHttpHeaders } from "node:http";

/** Seconds since 1970 by the server's clock, on every answer of the server. */
export const SERVER_TIME_HEADER = "berth-server-time";

/**
 * The server's time as this agent last heard it, carried on by the monotonic clock, so that neither a skewed nor a
 * jumping wall clock makes a signature look old. Until the first answer it is the wall clock.
 */
export class ServerClock {
  readonly #monotonicMs: () => number;
  #offsetMs: number;

  constructor(wallMs: () => number = Date.now, monotonicMs: () => number = () => performance.now()) {
    this.#monotonicMs = monotonicMs;
    this.#offsetMs = wallMs() - monotonicMs();
  }

  nowSeconds(): number {
    return Math.floor((this.#monotonicMs() + this.#offsetMs) / 1000);
  }

  /** Takes the time from an answer: the exact header, or `Date` (whole seconds) where a proxy left only that. */
  learn(headers: IncomingHttpHeaders): void {
    const serverMs = serverTimeMs(headers);
    if (serverMs !== null) this.#offsetMs = serverMs - this.#monotonicMs();
  }
}

function serverTimeMs(headers: IncomingHttpHeaders): number | null {
  const exact = headers[SERVER_TIME_HEADER];
  if (typeof exact === "string" && /^\d{1,12}$/.test(exact)) return Number(exact) * 1000;
  const date = headers.date === undefined ? Number.NaN : Date.parse(headers.date);
  return Number.isFinite(date) ? date : null;
}
