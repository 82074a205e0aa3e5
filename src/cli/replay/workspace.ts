import { mkdirSync, readdirSync, renameSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { BackendSession } from "../../backends/execution-backend.ts";
import { newId } from "../../protocol/ids.ts";
import { removeSecretFolder, secretsParent } from "../../runtime/secret-folder.ts";
import { tryLock } from "../../std/file-lock.ts";
import { removeTree } from "../../std/remove-tree.ts";
import { CliError } from "../cli-error.ts";
import type { LocalBackend } from "../context.ts";

/** What attempts of one replay share on a platform: there is one. */
export const REPLAY_SCOPE = "replay";
const PREFIX = "replay_";
const KEPT_PREFIX = "kept_";
/** Making a folder together with its lock takes milliseconds. */
const TURN_TIMEOUT_MS = 10_000;
const TURN_INTERVAL_MS = 20;

/**
 * The folder of one replay, and all that it makes on a backend. It is an installation of its own there, so that no agent
 * of this machine takes it for something that it left behind, and what a replay leaves that was killed is removed by the
 * next one.
 */
export class ReplayWorkspace implements AsyncDisposable {
  readonly folder: string;
  readonly #lock: Disposable;
  #session: BackendSession | null = null;

  /** In `replays`, the folder of all replays of this home; cleans up after those that did not. */
  static async open(replays: string, backends: readonly LocalBackend[]): Promise<ReplayWorkspace> {
    mkdirSync(replays, { recursive: true, mode: 0o700 });
    const name = `${PREFIX}${newId("run").slice("run_".length)}`;
    const { lock, abandoned } = await takingTurns(replays, () => {
      mkdirSync(join(replays, name), { mode: 0o700 });
      const own = tryLock(join(replays, name, "lock"))!;
      return { lock: own, abandoned: findAbandoned(replays, name) };
    });
    for (const each of abandoned) await removeAbandoned(each, backends);
    return new ReplayWorkspace(join(replays, name), lock);
  }

  private constructor(folder: string, lock: Disposable) {
    this.folder = folder;
    this.#lock = lock;
  }

  get attemptFolder(): string {
    return join(this.folder, "attempt");
  }

  /** In memory; removed with the workspace. */
  get secretsFolder(): string {
    return secretsFolderOf(this.folder);
  }

  /** Whatever is submitted is removed with the workspace. */
  async connect(backend: LocalBackend): Promise<BackendSession> {
    this.#session = await openIn(this.folder, backend);
    return this.#session;
  }

  /** Removes everything but the attempt's folder, and returns where that is from now on. */
  async keep(): Promise<string> {
    await this.#leaveBackend();
    const kept = join(dirname(this.folder), basename(this.folder).replace(PREFIX, KEPT_PREFIX));
    mkdirSync(kept, { mode: 0o700 });
    renameSync(this.attemptFolder, join(kept, "attempt"));
    return join(kept, "attempt");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#leaveBackend();
    removeSecretFolder(this.secretsFolder);
    await removeTree(this.folder);
    this.#lock[Symbol.dispose]();
  }

  async #leaveBackend(): Promise<void> {
    const session = this.#session;
    this.#session = null;
    if (session === null) return;
    try {
      await releaseAll(session);
    } finally {
      await session[Symbol.asyncDispose]();
    }
  }
}

/** One process at a time, for as long as `act` takes. */
async function takingTurns<T>(replays: string, act: () => T): Promise<T> {
  const deadline = performance.now() + TURN_TIMEOUT_MS;
  for (;;) {
    using turn = tryLock(join(replays, "lock"));
    if (turn !== null) return act();
    if (performance.now() > deadline) throw new CliError(`Another replay holds ${join(replays, "lock")}.`);
    await sleep(TURN_INTERVAL_MS);
  }
}

interface Abandoned {
  readonly folder: string;
  readonly lock: Disposable;
}

function findAbandoned(replays: string, own: string): Abandoned[] {
  const others = readdirSync(replays).filter((name) => name.startsWith(PREFIX) && name !== own);
  return others.flatMap((name) => {
    const folder = join(replays, name);
    const lock = tryLock(join(folder, "lock"));
    return lock === null ? [] : [{ folder, lock }];
  });
}

async function removeAbandoned({ folder, lock }: Abandoned, backends: readonly LocalBackend[]): Promise<void> {
  using _lock = lock;
  const used = readdirSync(folder);
  for (const backend of backends.filter(({ backend: { name } }) => used.includes(`backend-${name}`))) {
    try {
      await using session = await openIn(folder, backend);
      await releaseAll(session);
    } catch {
      return; // Its platform is away: the next replay tries again.
    }
  }
  removeSecretFolder(secretsFolderOf(folder));
  await removeTree(folder);
}

function secretsFolderOf(folder: string): string {
  return join(secretsParent(folder), "attempt");
}

function openIn(folder: string, { backend, settings }: LocalBackend): Promise<BackendSession> {
  const stateFolder = join(folder, `backend-${backend.name}`);
  mkdirSync(stateFolder, { recursive: true, mode: 0o700 });
  const installation = folder.slice(folder.lastIndexOf("/") + 1);
  return backend.open({ installation, stateFolder, settings });
}

async function releaseAll(session: BackendSession): Promise<void> {
  for await (const { handle } of session.list()) await session.release(handle, { force: true });
  await session.releaseScope(REPLAY_SCOPE);
}
