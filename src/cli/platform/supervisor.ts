import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { tryLock } from "../../std/file-lock.ts";
import { CliError } from "../cli-error.ts";
import type { CliContext, RegisteredWorker } from "../context.ts";
import { chooseListenAddress } from "./choose-listen-address.ts";
import { embeddedEndpoint } from "./embedded-endpoint.ts";
import { homeFiles, makeHome } from "./home.ts";
import { ensureLocalWorker } from "./local-worker.ts";
import { openLog } from "./log-file.ts";
import { type ChildMessage, SupervisedChild } from "./supervised-child.ts";
import { isLocked, removeSupervisorInfo, writeSupervisorInfo } from "./supervisor-file.ts";

export interface SupervisorOptions {
  readonly context: CliContext;
  readonly home: string;
  readonly background: boolean;
  /** Lines about what happens to the programs. */
  readonly log: (line: string) => void;
  readonly onReady: (platform: ReadyPlatform) => void;
  readonly onActivity: () => void;
  /** Ends everything in order. */
  readonly signal: AbortSignal;
}

export interface ReadyPlatform {
  readonly url: string;
  readonly worker: RegisteredWorker;
}

/** Another supervisor holds the home's lock. */
export class AlreadyUp extends Error {
  override readonly name = "AlreadyUp";
}

/** How long a first start may take: PostgreSQL initialises its folder within it. */
const START_TIMEOUT_MS = 60_000;
/** Who only looks whether the lock is held holds it for a moment. */
const LOCK_ATTEMPTS = 10;
const LOCK_RETRY_MS = 50;
/** A server whose supervisor was killed stops by itself within this. */
const PREDECESSOR_STOP_MS = 20_000;

/**
 * Runs server and agent as children and keeps them running until the signal aborts. The agent is stopped first: it
 * detaches from what runs, reports what it still has to, and only then the server goes.
 */
export async function supervise(options: SupervisorOptions): Promise<void> {
  const { home, signal } = options;
  const files = homeFiles(makeHome(home));
  mkdirSync(files.logs, { recursive: true, mode: 0o700 });
  using _lock = await takeLock(home);
  writeSupervisorInfo(home, { pid: process.pid, background: options.background });
  await predecessorGone(files.serverLock, signal);

  // Stopped in reverse order: the agent first.
  await using children = new AsyncDisposableStack();
  try {
    const url = await startServer(options, children);
    const worker = await ensureLocalWorker(options.context, home, url);
    children.use(createAgentChild(options, url)).start();
    options.onReady({ url, worker });
    await aborted(signal);
  } catch (error) {
    // Asked to stop in the middle of the start: an orderly end, not a failure.
    if (!signal.aborted) throw error;
  }
  await children.disposeAsync();
  removeSupervisorInfo(home);
}

/** Returns where the server listens. */
async function startServer(options: SupervisorOptions, children: AsyncDisposableStack): Promise<string> {
  const { env } = options.context;
  const listen = await chooseListenAddress(env, options.log);
  const first = createServerChild(options, listen);
  children.use(first.child).start();
  try {
    return await within(first.ready, options);
  } catch (error) {
    // Another program may have taken the port in the moment between the choice and the start.
    const other = await chooseListenAddress(env, options.log);
    if (other === listen || options.signal.aborted) throw error;
    await first.child.stop();
    const second = createServerChild(options, other);
    children.use(second.child).start();
    return await within(second.ready, options);
  }
}

async function takeLock(home: string): Promise<Disposable> {
  for (let attempt = 1; attempt <= LOCK_ATTEMPTS; attempt++) {
    const lock = tryLock(homeFiles(home).supervisorLock);
    if (lock !== null) return lock;
    await sleep(LOCK_RETRY_MS);
  }
  throw new AlreadyUp(`Berth is already up in ${home}`);
}

/** A server that is there for another reason stays, and the new one will say so. */
async function predecessorGone(lockFile: string, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + PREDECESSOR_STOP_MS;
  while (isLocked(lockFile) && performance.now() < deadline && !signal.aborted) await sleep(LOCK_RETRY_MS);
}

function createServerChild(options: SupervisorOptions, listen: string | undefined) {
  const ready = Promise.withResolvers<string>();
  ready.promise.catch(() => {}); // Nobody may be waiting any more.
  // A child that cannot start is started again, which is of use only after it once could.
  const onMessage = (message: ChildMessage) => {
    if (message.type === "ready" && message.url !== undefined) ready.resolve(message.url);
    if (message.type === "fatal") ready.reject(new CliError(message.message, { advice: message.advice }));
    if (message.type === "activity") options.onActivity();
  };
  // The embedded platform has its own database: a DATABASE_URL around here belongs to somebody's application.
  const env = { DATABASE_URL: undefined, ...(listen === undefined ? {} : { BERTH_LISTEN: listen }) };
  return { child: createChild(options, "server", ["server"], env, onMessage), ready: ready.promise };
}

function createAgentChild(options: SupervisorOptions, url: string): SupervisedChild {
  const { caFile, serverName } = embeddedEndpoint(options.home)?.trust ?? {};
  const args = ["agent", "start", "--home", homeFiles(options.home).localAgent, "--server", url];
  if (caFile !== undefined) args.push("--ca-file", caFile);
  if (serverName !== undefined) args.push("--tls-server-name", serverName);
  return createChild(options, "agent", args, {}, () => {});
}

function createChild(
  { context, home, log }: SupervisorOptions,
  name: string,
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  onMessage: (message: ChildMessage) => void,
): SupervisedChild {
  return new SupervisedChild({
    name,
    command: [...context.programs.self, ...args],
    env: { ...context.env, BERTH_HOME: home, ...env },
    logFd: openLog(join(homeFiles(home).logs, `${name}.log`)),
    onMessage,
    onExit: (how, restartInMs) => log(`the ${name} ${how}; starting it again in ${(restartInMs / 1000).toFixed(1)} s`),
  });
}

async function within(ready: Promise<string>, { home, signal }: SupervisorOptions): Promise<string> {
  const timeout = AbortSignal.timeout(START_TIMEOUT_MS);
  return Promise.race([
    ready,
    aborted(signal).then(() => Promise.reject(signal.reason)),
    aborted(timeout).then(() => {
      throw new CliError(`The server was not ready after ${START_TIMEOUT_MS / 1000} s.`, {
        advice: [`Its log says more: ${join(homeFiles(home).logs, "server.log")}`],
      });
    }),
  ]);
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
