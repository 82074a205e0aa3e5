import { closeSync, existsSync, openSync, readFileSync, renameSync, statSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { BerthError } from "../../protocol/errors.ts";
import { processStart } from "../process-identity.ts";
import { type Cluster, clusterUrl } from "./cluster.ts";
import { clearRecycledPid, readPostmasterPid, worksIn } from "./postmaster-pid.ts";
import { type Programs, programFailed, startProgram } from "./program.ts";

/** A running PostgreSQL, started by us or found running. */
export interface Postmaster {
  readonly pid: number;
  readonly port: number;
  readonly adopted: boolean;
  /** Resolves when the process is gone. */
  readonly exited: Promise<void>;
}

const POLL_INTERVAL_MS = 5;
/** Between looks at a process that is not our child. */
const ADOPTED_POLL_INTERVAL_MS = 200;
/** Replaying the log after a crash can take long; this long means that something is wrong. */
const START_TIMEOUT_MS = 300_000;
/** How long one that was found running, and calls itself ready, may take to answer before it is started anew. */
const ADOPT_TIMEOUT_MS = 8_000;
const PROBE_TIMEOUT_MS = 2_000;
/** Backends of a killed PostgreSQL need a moment to notice; until then its lock and its shared memory are in use. */
const ORPHANS_TIMEOUT_MS = 30_000;
const LOG_MAX_BYTES = 8 * 1024 * 1024;
/** How long each kind of stop is given before the next, harder one. */
const STOP = [
  { signal: "SIGINT", waitMs: 20_000 },
  { signal: "SIGQUIT", waitMs: 3_000 },
  { signal: "SIGKILL", waitMs: 5_000 },
] as const;
/** For one that does not answer: asking politely would only take time. */
const HARD_STOP = STOP.slice(1);

export interface LaunchOptions {
  readonly port: number;
  readonly settings: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/** Starts PostgreSQL and waits until it accepts connections. */
export async function launch(cluster: Cluster, programs: Programs, options: LaunchOptions): Promise<Postmaster> {
  const deadline = performance.now() + ORPHANS_TIMEOUT_MS;
  for (;;) {
    try {
      return await launchOnce(cluster, programs, options);
    } catch (error) {
      const orphans = error instanceof Error && /shared memory block|lock file .* already exists/.test(error.message);
      if (!orphans || performance.now() > deadline) throw error;
      await sleep(ADOPTED_POLL_INTERVAL_MS, undefined, { signal: options.signal });
    }
  }
}

async function launchOnce(cluster: Cluster, programs: Programs, options: LaunchOptions): Promise<Postmaster> {
  clearRecycledPid(cluster.data);
  rotateLog(cluster.logFile);
  const log = openSync(cluster.logFile, "a", 0o600);
  const logStart = statSync(cluster.logFile).size;
  const args = Object.entries(options.settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const call = { dataFolder: cluster.data, args: ["-p", String(options.port), ...args] };
  const child = startProgram(programs, "postgres", call, log);
  closeSync(log);
  const gone = new AbortController();
  const exited = new Promise<void>((done) => {
    const end = () => {
      gone.abort();
      done();
    };
    child.once("exit", end);
    child.once("error", end);
  });
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (!gone.signal.aborted) {
    const found = readPostmasterPid(cluster.data);
    if (found !== null && found.pid === child.pid && found.ready) {
      // From here on it may outlive us.
      child.unref();
      return { pid: found.pid, port: found.port, adopted: false, exited };
    }
    if (options.signal.aborted || performance.now() > deadline) {
      child.kill("SIGQUIT");
      await exited;
      options.signal.throwIfAborted();
    }
    await sleep(POLL_INTERVAL_MS);
  }
  throw programFailed("postgres", cluster.data, readFileSync(cluster.logFile).subarray(logStart).toString());
}

/** Takes over the PostgreSQL that a killed server left running; null when there is none, or it had to be stopped. */
export async function adopt(cluster: Cluster): Promise<Postmaster | null> {
  const startedAt = performance.now();
  for (;;) {
    const found = readPostmasterPid(cluster.data);
    if (found === null || !worksIn(found.pid, cluster.data)) return null;
    if (found.ready && (await answers(cluster, found.port))) {
      return { pid: found.pid, port: found.port, adopted: true, exited: goneOf(found.pid) };
    }
    // One that still replays its log is better left at it: it would have to begin again.
    const limitMs = found.ready ? ADOPT_TIMEOUT_MS : START_TIMEOUT_MS;
    if (performance.now() - startedAt > limitMs) {
      await stopPostmaster(found.pid, goneOf(found.pid), HARD_STOP);
      return null;
    }
    await sleep(ADOPTED_POLL_INTERVAL_MS);
  }
}

/** Stops it by the gentlest means that works; connections are closed, committed work is safe in each case. */
export async function stopPostmaster(
  pid: number,
  exited: Promise<void>,
  steps: readonly { readonly signal: NodeJS.Signals; readonly waitMs: number }[] = STOP,
): Promise<void> {
  for (const { signal, waitMs } of steps) {
    try {
      process.kill(pid, signal);
    } catch {
      return;
    }
    const timer = new AbortController();
    const stopped = await Promise.race([
      exited.then(() => true),
      sleep(waitMs, false, { signal: timer.signal }).catch(() => false),
    ]);
    timer.abort();
    if (stopped) return;
  }
  throw new BerthError("unavailable", `the embedded PostgreSQL (process ${pid}) cannot be stopped`);
}

/** Only the cluster of this folder knows this password, so an answer also proves that it is ours. */
async function answers(cluster: Cluster, port: number): Promise<boolean> {
  const client = new pg.Client({
    connectionString: clusterUrl(cluster, port, "postgres"),
    connectionTimeoutMillis: PROBE_TIMEOUT_MS,
    query_timeout: PROBE_TIMEOUT_MS,
  });
  client.on("error", () => {});
  try {
    await client.connect();
    await client.query("SELECT 1");
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => {});
  }
}

/** Another process's child cannot be waited for, only looked at. */
function goneOf(pid: number): Promise<void> {
  const start = processStart(pid);
  return new Promise((done) => {
    const timer = setInterval(() => {
      if (start !== null && processStart(pid) === start) return;
      clearInterval(timer);
      done();
    }, ADOPTED_POLL_INTERVAL_MS);
    timer.unref();
  });
}

function rotateLog(file: string): void {
  if (existsSync(file) && statSync(file).size > LOG_MAX_BYTES) renameSync(file, `${file}.1`);
}
