import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import { BerthError } from "../../protocol/errors.ts";
import { type Cluster, clusterUrl, isInitialised, keptPort, openCluster } from "./cluster.ts";
import { connect } from "./connect.ts";
import { initialise } from "./initialise.ts";
import { adopt, launch, type Postmaster, stopPostmaster } from "./postmaster.ts";
import { type Programs, programs } from "./program.ts";
import { programTree } from "./program-tree.ts";
import { programUser } from "./program-user.ts";
import { installedPrograms } from "./programs.ts";

export interface EmbeddedPostgresOptions {
  /** Of the cluster; made if missing. One process at a time may use it: see ../home.ts. */
  readonly folder: string;
  /** The database that `url` names; made if missing. */
  readonly database: string;
  readonly log: Pick<Logger, "info" | "warn" | "error">;
  /** Server settings over the defaults below. */
  readonly settings?: Readonly<Record<string, string>>;
}

const DEFAULT_SETTINGS = {
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  max_connections: "100",
  // Nothing replicates from here, so less is written ahead.
  wal_level: "minimal",
  max_wal_senders: "0",
  log_min_messages: "warning",
  log_checkpoints: "off",
  log_line_prefix: "%m [%p] ",
};

const RESTART_DELAY_MIN_MS = 50;
const RESTART_DELAY_MAX_MS = 5_000;
/** One that ran this long before it died starts the delays from the beginning. */
const STABLE_AFTER_MS = 60_000;

/**
 * PostgreSQL as a child of this process: initialised on first use, adopted when a killed server left it running,
 * started again when it dies, stopped on dispose. It outlives a kill of this process on purpose: what it was told to
 * commit, it commits.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  try {
    return await start(options);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
    throw new BerthError("storage_full", `PostgreSQL cannot start: the disk of ${options.folder} is full`, {
      advice: "Free space there and start again; nothing was lost.",
      cause: error,
    });
  }
}

async function start(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const cluster = openCluster(options.folder);
  const user = programUser();
  const settings: Readonly<Record<string, string>> = { ...DEFAULT_SETTINGS, ...options.settings };
  using cleanup = new DisposableStack();
  const tree = cleanup.use(programTree(installedPrograms(), user, cluster.programsNote));
  const started = programs(tree, user);
  if (!isInitialised(cluster)) await initialise(cluster, started, settings.fsync !== "off");
  const found = await adopt(cluster);
  const signal = new AbortController().signal;
  const postmaster = found ?? (await launch(cluster, started, { port: await keptPort(cluster), settings, signal }));
  options.log.info({ pid: postmaster.pid, port: postmaster.port, adopted: postmaster.adopted }, "PostgreSQL is up");
  const supervised = new EmbeddedPostgres(cluster, started, { ...options, settings }, postmaster, cleanup.move());
  try {
    await createDatabase(clusterUrl(cluster, postmaster.port, "postgres"), options.database);
  } catch (error) {
    await supervised[Symbol.asyncDispose]();
    throw error;
  }
  return supervised;
}

export class EmbeddedPostgres implements AsyncDisposable {
  readonly url: string;
  readonly #cluster: Cluster;
  readonly #programs: Programs;
  readonly #options: EmbeddedPostgresOptions & { readonly settings: Readonly<Record<string, string>> };
  readonly #resources: Disposable;
  readonly #stopping = new AbortController();
  readonly #supervision: Promise<void>;
  #postmaster: Postmaster;

  constructor(
    cluster: Cluster,
    started: Programs,
    options: EmbeddedPostgresOptions & { readonly settings: Readonly<Record<string, string>> },
    postmaster: Postmaster,
    resources: Disposable,
  ) {
    this.url = clusterUrl(cluster, postmaster.port, options.database);
    this.#cluster = cluster;
    this.#programs = started;
    this.#options = options;
    this.#postmaster = postmaster;
    this.#resources = resources;
    this.#supervision = this.#supervise();
  }

  /** Process id of the PostgreSQL that runs now. */
  get pid(): number {
    return this.#postmaster.pid;
  }

  async #supervise(): Promise<void> {
    const { log, settings } = this.#options;
    const signal = this.#stopping.signal;
    let delayMs = RESTART_DELAY_MIN_MS;
    let startedAt = performance.now();
    for (;;) {
      await this.#postmaster.exited;
      if (signal.aborted) return;
      if (performance.now() - startedAt > STABLE_AFTER_MS) delayMs = RESTART_DELAY_MIN_MS;
      log.warn({ pid: this.#postmaster.pid, delayMs }, "PostgreSQL died and is started again");
      await sleep(delayMs, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      delayMs = Math.min(delayMs * 2, RESTART_DELAY_MAX_MS);
      startedAt = performance.now();
      try {
        // The same port: every connection of this process is made to it.
        const port = this.#postmaster.port;
        this.#postmaster = await launch(this.#cluster, this.#programs, { port, settings, signal });
        // Stopped in the very moment that it came up: dispose knew only the one before.
        if (signal.aborted) await stopPostmaster(this.#postmaster.pid, this.#postmaster.exited);
        else log.info({ pid: this.#postmaster.pid }, "PostgreSQL is up again");
      } catch (error) {
        if (!signal.aborted) log.error({ err: error }, "PostgreSQL did not start");
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    this.#stopping.abort();
    await stopPostmaster(this.#postmaster.pid, this.#postmaster.exited);
    await this.#supervision;
    this.#resources[Symbol.dispose]();
  }
}

async function createDatabase(url: string, name: string): Promise<void> {
  const client = await connect({ connectionString: url });
  try {
    const { rowCount } = await client.query("SELECT 1 FROM pg_database WHERE datname = $1", [name]);
    if (rowCount === 0) await client.query(`CREATE DATABASE ${client.escapeIdentifier(name)}`);
  } finally {
    await client.end();
  }
}
