import { join } from "node:path";
import { readStartCounters } from "../../shim/control-folder.ts";
import { readRecord } from "../../shim/read-record.ts";
import type { Handle, Stats } from "../execution-backend.ts";
import { knownFigures } from "../known-figures.ts";
import { type CgroupFolders, containerCgroup } from "./cgroup-folders.ts";
import type { Engine } from "./engine.ts";
import { isStatus } from "./engine-error.ts";
import { engineFigures } from "./engine-figures.ts";
import { readCgroup } from "./read-cgroup.ts";
import { readTraffic } from "./read-traffic.ts";

/** The engine takes some milliseconds for one container's figures, of its time and of ours. */
const ENGINE_INTERVAL_MS = 5_000;

type Source =
  | { readonly kind: "files"; readonly pid: number; readonly folders: CgroupFolders }
  /** Its cgroup is out of sight, such as of an agent that is itself in a container: the engine is asked. */
  | { readonly kind: "engine"; askedAtMs: number; last: Stats | null };

/** What running containers use: the engine is asked once where each has its files, which are then read. */
export class ContainerFigures {
  readonly #engine: () => Promise<Engine>;
  readonly #sources = new Map<string, Source>();

  constructor(engine: () => Promise<Engine>) {
    this.#engine = engine;
  }

  /** Those that are over are left out. */
  async read(handles: readonly Handle[]): Promise<Map<string, Stats>> {
    const figures = new Map<string, Stats>();
    const read = async (handle: Handle) => {
      const stats = await this.#readOne(handle);
      if (stats !== null) figures.set(handle.name, stats);
    };
    await Promise.all(handles.map(read));
    return figures;
  }

  forget(name: string): void {
    this.#sources.delete(name);
  }

  async #readOne({ name, folder }: Handle): Promise<Stats | null> {
    const ctl = join(folder, "ctl");
    if (readRecord(ctl) !== null) return null;
    const source = this.#sources.get(name) ?? (await this.#find(name));
    if (source === null) return null;
    if (source.kind === "engine") return this.#ask(name, source);
    const stats = readCgroup(source.folders);
    // It ended, or was started again under another id.
    if (stats === null) {
      this.forget(name);
      return null;
    }
    return sinceStart(stats, source.pid, ctl);
  }

  async #find(name: string): Promise<Source | null> {
    const engine = await this.#engine();
    const container = await engine.inspectContainer(name).catch(ignoreMissing);
    if (container === undefined || container.State.Pid === 0) return null;
    const { Id: id, State } = container;
    const folders = containerCgroup({ pid: State.Pid, id });
    const source: Source =
      folders === null
        ? { kind: "engine", askedAtMs: Number.NEGATIVE_INFINITY, last: null }
        : { kind: "files", pid: State.Pid, folders };
    this.#sources.set(name, source);
    return source;
  }

  async #ask(name: string, source: Extract<Source, { kind: "engine" }>): Promise<Stats | null> {
    if (performance.now() - source.askedAtMs < ENGINE_INTERVAL_MS) return source.last;
    source.askedAtMs = performance.now();
    const engine = await this.#engine();
    const answer = await engine.statsOfContainer(name).catch(ignoreMissing);
    source.last = answer === undefined ? null : engineFigures(answer);
    if (source.last === null) this.forget(name);
    return source.last;
  }
}

/** Counters of a container are not at zero when user code begins: what made it was in it, and its network is older. */
function sinceStart(stats: Stats, pid: number, ctl: string): Stats {
  const before = readStartCounters(ctl);
  const traffic = readTraffic(pid);
  return knownFigures({
    ...stats,
    cpuMs: difference(stats.cpuMs, before?.cpuUs == null ? null : before.cpuUs / 1000),
    receivedBytes: difference(traffic?.received, before?.receivedBytes),
    sentBytes: difference(traffic?.sent, before?.sentBytes),
  });
}

/** Null where one of them is not known, or where what is counted was made anew. */
function difference(now: number | null | undefined, before: number | null | undefined): number | null {
  return now == null || before == null || now < before ? null : now - before;
}

function ignoreMissing(error: unknown): undefined {
  if (isStatus(error, 404, 409)) return undefined;
  throw error;
}
