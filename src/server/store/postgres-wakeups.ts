import pg from "pg";
import type { Logger } from "pino";
import type { Wakeups } from "./wakeups.ts";

const CHANNEL = "berth_wakeups";
/** What is notified within this time goes out as one message. */
const COALESCE_MS = 3;
/** PostgreSQL's limit is 8,000 bytes of payload. */
const PAYLOAD_MAX_CHARS = 7_000;
/** More topics than this are told as "everything": waiters look for themselves anyway. */
const PENDING_MAX_TOPICS = 5_000;
const EVERYTHING = "*";
const RECONNECT_DELAY_MIN_MS = 100;
const RECONNECT_DELAY_MAX_MS = 5_000;
const CONNECT_TIMEOUT_MS = 5_000;
const NOTIFY_TIMEOUT_MS = 10_000;

export interface PostgresWakeupsOptions {
  readonly url: string;
  readonly log: Pick<Logger, "warn" | "info">;
}

/** Connects and listens; while the connection is lost later on, waiters live by their time-outs. */
export async function openPostgresWakeups(options: PostgresWakeupsOptions): Promise<PostgresWakeups> {
  const wakeups = new PostgresWakeups(options);
  await wakeups.connect();
  return wakeups;
}

/** One connection of its own for LISTEN and NOTIFY; waiters of this process are woken at once, without it. */
export class PostgresWakeups implements Wakeups {
  readonly #options: PostgresWakeupsOptions;
  readonly #waiters = new Map<string, Set<() => void>>();
  readonly #pending = new Set<string>();
  #client: pg.Client | null = null;
  #flushing = false;
  #flushTimer: NodeJS.Timeout | undefined;
  #reconnectTimer: NodeJS.Timeout | undefined;
  #reconnectDelayMs = RECONNECT_DELAY_MIN_MS;
  #disposed = false;

  constructor(options: PostgresWakeupsOptions) {
    this.#options = options;
  }

  notify(topic: string): void {
    if (this.#disposed) return;
    this.#wake(topic);
    if (this.#pending.size >= PENDING_MAX_TOPICS) {
      this.#pending.clear();
      this.#pending.add(EVERYTHING);
    } else if (!this.#pending.has(EVERYTHING)) this.#pending.add(topic);
    this.#flushTimer ??= setTimeout(() => void this.#flush(), COALESCE_MS);
  }

  wait(topics: readonly string[], timeoutMs: number, signal?: AbortSignal): Promise<void> {
    if (this.#disposed || signal?.aborted) return Promise.resolve();
    return new Promise((done) => {
      const end = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", end);
        for (const topic of topics) this.#removeWaiter(topic, end);
        done();
      };
      const timer = setTimeout(end, timeoutMs);
      signal?.addEventListener("abort", end);
      for (const topic of topics) this.#addWaiter(topic, end);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#disposed) return;
    clearTimeout(this.#flushTimer);
    clearTimeout(this.#reconnectTimer);
    // What was notified last still goes out: another replica may be waiting for it.
    await this.#flush();
    this.#disposed = true;
    clearTimeout(this.#flushTimer);
    this.#wake(EVERYTHING);
    await this.#client?.end().catch(() => {});
  }

  async connect(): Promise<void> {
    const client = new pg.Client({
      connectionString: this.#options.url,
      application_name: "berth-wakeups",
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      query_timeout: NOTIFY_TIMEOUT_MS,
      // A connection that died without a word is noticed, although nothing is sent on it for long.
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
    });
    client.on("error", () => this.#lost(client));
    client.on("end", () => this.#lost(client));
    client.on("notification", ({ payload, processId }) => {
      // Our own came by #wake already.
      if (processId === (client as unknown as { processID: number }).processID) return;
      for (const topic of payload?.split("\n") ?? []) this.#wake(topic);
    });
    try {
      await client.connect();
      await client.query(`LISTEN ${CHANNEL}`);
    } catch (error) {
      client.end().catch(() => {});
      throw error;
    }
    if (this.#disposed) return await client.end();
    this.#client = client;
    this.#reconnectDelayMs = RECONNECT_DELAY_MIN_MS;
    if (this.#pending.size > 0) await this.#flush();
  }

  async #flush(): Promise<void> {
    this.#flushTimer = undefined;
    const client = this.#client;
    // Without a connection, topics wait for the next one.
    if (client === null || this.#flushing || this.#pending.size === 0) return;
    this.#flushing = true;
    const topics = [...this.#pending];
    this.#pending.clear();
    try {
      await client.query("SELECT pg_notify($1, unnest($2::text[]))", [CHANNEL, payloads(topics)]);
    } catch {
      for (const topic of topics) this.#pending.add(topic);
      this.#lost(client);
    }
    this.#flushing = false;
    if (this.#pending.size > 0 && !this.#disposed) {
      this.#flushTimer ??= setTimeout(() => void this.#flush(), COALESCE_MS);
    }
  }

  #lost(client: pg.Client): void {
    if (this.#client !== client) return;
    this.#client = null;
    client.end().catch(() => {});
    if (this.#disposed) return;
    this.#options.log.warn("the connection for wake-ups was lost; polling goes on");
    this.#reconnectLater();
  }

  #reconnectLater(): void {
    if (this.#disposed) return;
    this.#reconnectTimer = setTimeout(() => void this.#reconnect(), this.#reconnectDelayMs);
    this.#reconnectDelayMs = Math.min(this.#reconnectDelayMs * 2, RECONNECT_DELAY_MAX_MS);
  }

  async #reconnect(): Promise<void> {
    try {
      await this.connect();
    } catch {
      return this.#reconnectLater();
    }
    this.#options.log.info("the connection for wake-ups is back");
    // Anything may have been notified meanwhile.
    this.#wake(EVERYTHING);
  }

  #wake(topic: string): void {
    const woken = topic === EVERYTHING ? [...this.#waiters.values()] : [this.#waiters.get(topic) ?? []];
    for (const waiters of woken) for (const wake of [...waiters]) wake();
  }

  #addWaiter(topic: string, wake: () => void): void {
    const waiters = this.#waiters.get(topic) ?? new Set();
    this.#waiters.set(topic, waiters.add(wake));
  }

  #removeWaiter(topic: string, wake: () => void): void {
    const waiters = this.#waiters.get(topic);
    waiters?.delete(wake);
    if (waiters?.size === 0) this.#waiters.delete(topic);
  }
}

/** Topics joined by line breaks, in as few messages as the limit allows. */
function payloads(topics: readonly string[]): string[] {
  const messages: string[] = [];
  let message = "";
  for (const topic of topics) {
    if (message !== "" && message.length + 1 + topic.length > PAYLOAD_MAX_CHARS) {
      messages.push(message);
      message = "";
    }
    message = message === "" ? topic : `${message}\n${topic}`;
  }
  messages.push(message);
  return messages;
}
