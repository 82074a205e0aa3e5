import { readdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import type { BackendSession, Handle } from "../backends/execution-backend.ts";
import { type DiskRoom, diskRoom } from "../std/disk-room.ts";
import { formatSize } from "../std/format-size.ts";
import { type TreeSize, treeSize } from "../std/tree-size.ts";

/** How often the disk is looked at, which costs one call, and whether it is an attempt's turn. */
const LOOK_INTERVAL_MS = 1_000;
/** An attempt is measured this often, unless that takes long: then it takes a twentieth of the time at most. */
const MEASURE_INTERVAL_MIN_MS = 2_000;
const MEASURE_SHARE = 20;
/** After an attempt was stopped because the disk was nearly full, what it held has to be gone before the next one is. */
const RELIEF_MS = 15_000;
/** An attempt that holds less is not why the disk is full. */
const HOLDS_MUCH: TreeSize = { bytes: 64 * 1024 ** 2, entries: 10_000 };
/** Of the file system's number of files, what has to be free. */
const FREE_ENTRIES_SHARE = 0.02;
/** Of a limit in bytes, what one file or folder counts for, and how many there may be in any case. */
const BYTES_PER_ENTRY = 4096;
const ENTRIES_MIN = 10_000;
const NO_LIMIT: TreeSize = { bytes: Number.POSITIVE_INFINITY, entries: Number.POSITIVE_INFINITY };
/** Of the attempt folder, all but the inputs: those are the worker's own copies. */
const NOT_WRITTEN = new Set(["in"]);

export interface DiskWatchOptions {
  /** Of an attempt that names none. */
  readonly limits: TreeSize;
  /** Free bytes below which the attempt that holds most is stopped, given the size of the disk. */
  readonly keepFreeBytes: (totalBytes: number) => number;
  readonly log: Logger;
  /** Default: asks the file system. */
  readonly room?: (folder: string) => Promise<DiskRoom>;
}

/** Why an attempt is to be stopped: the reason of the signal. */
export interface DiskExcess {
  readonly code: "disk-exceeded" | "disk-full";
  readonly message: string;
  readonly evidence: string;
}

export interface WatchedDisk extends Disposable {
  /** Aborted with a DiskExcess. */
  readonly excess: AbortSignal;
  /** The most that was seen; null of one that was over before. */
  readonly most: TreeSize | null;
}

interface Watched {
  readonly session: BackendSession;
  readonly handle: Handle;
  readonly limits: TreeSize;
  readonly stop: AbortController;
  dueAtMs: number;
  most: TreeSize | null;
}

/**
 * Limits what running attempts write to the disk: in their attempt folders, logs included, and in what their platform
 * keeps for them, such as the writable layer of a container. File systems with quotas are rare, so it looks; what is
 * written within a look or two is more than the limit. Against that, it also keeps the disk itself from filling up.
 */
export class DiskWatch implements Disposable {
  readonly #options: DiskWatchOptions;
  readonly #watched = new Set<Watched>();
  readonly #closed = new AbortController();
  #running = false;
  #reliefUntilMs = 0;

  constructor(options: DiskWatchOptions) {
    this.#options = options;
  }

  /** From when an attempt was let go until its end was seen. @param bytes its own limit; null for the worker's. */
  watch(session: BackendSession, handle: Handle, bytes: number | null): WatchedDisk {
    const { limits } = this.#options;
    const watched: Watched = {
      ...{ session, handle, stop: new AbortController(), most: null },
      limits: bytes === null ? limits : { bytes, entries: Math.min(limits.entries, entriesFor(bytes)) },
      dueAtMs: performance.now() + LOOK_INTERVAL_MS,
    };
    this.#watched.add(watched);
    if (!this.#running) void this.#run();
    return {
      excess: watched.stop.signal,
      get most() {
        return watched.most;
      },
      [Symbol.dispose]: () => void this.#watched.delete(watched),
    };
  }

  [Symbol.dispose](): void {
    this.#closed.abort();
    this.#watched.clear();
  }

  async #run(): Promise<void> {
    this.#running = true;
    try {
      while (this.#watched.size > 0) {
        await sleep(LOOK_INTERVAL_MS, undefined, { signal: this.#closed.signal, ref: false });
        await this.#relieve();
        for (const watched of [...this.#watched]) {
          if (watched.dueAtMs <= performance.now()) await this.#check(watched);
        }
      }
    } catch (error) {
      if (!this.#closed.signal.aborted) this.#options.log.error({ err: error }, "disks are not watched any more");
    } finally {
      this.#running = false;
    }
  }

  async #check(watched: Watched): Promise<void> {
    const startedAtMs = performance.now();
    const { limits } = watched;
    const use = await this.#measure(watched, limits);
    const tookMs = performance.now() - startedAtMs;
    watched.dueAtMs = performance.now() + Math.max(MEASURE_INTERVAL_MIN_MS, tookMs * MEASURE_SHARE);
    if (use.bytes <= limits.bytes && use.entries <= limits.entries) return;
    const what =
      use.bytes > limits.bytes
        ? `more than ${formatSize(limits.bytes)} to the disk`
        : `more than ${limits.entries} files and folders`;
    watched.stop.abort({
      code: "disk-exceeded",
      message: `The step wrote ${what}, which is its limit.`,
      evidence: `outputs, scratch, logs and the container's own layer: at least ${described(use)}`,
    } satisfies DiskExcess);
  }

  /** Stops the attempt that holds most when the disk is nearly full. */
  async #relieve(): Promise<void> {
    const [first] = this.#watched;
    if (first === undefined || performance.now() < this.#reliefUntilMs) return;
    const room = await this.#roomOf(first.handle.folder);
    const short = room === null ? null : this.#shortOf(room);
    if (short === null) return;
    const measured: { watched: Watched; use: TreeSize }[] = [];
    for (const watched of this.#watched) measured.push({ watched, use: await this.#measure(watched, NO_LIMIT) });
    const [largest] = measured
      .filter(({ watched, use }) => !watched.stop.signal.aborted && use[short] >= HOLDS_MUCH[short])
      .sort((a, b) => b.use[short] - a.use[short]);
    this.#reliefUntilMs = performance.now() + RELIEF_MS;
    const left = `${formatSize(room!.freeBytes)} and ${room!.freeEntries} files free`;
    if (largest === undefined) {
      this.#options.log.warn(room!, "the disk is nearly full, and no step holds much of it");
      return;
    }
    largest.watched.stop.abort({
      code: "disk-full",
      message: "The step was stopped because the worker's disk was nearly full, and it held the most of all steps.",
      evidence: `the disk had ${left}; the step held ${described(largest.use)}`,
    } satisfies DiskExcess);
  }

  /** What there is too little of. */
  #shortOf({ freeBytes, totalBytes, freeEntries, totalEntries }: DiskRoom): keyof TreeSize | null {
    if (freeBytes < this.#options.keepFreeBytes(totalBytes)) return "bytes";
    return freeEntries < totalEntries * FREE_ENTRIES_SHARE ? "entries" : null;
  }

  async #roomOf(folder: string): Promise<DiskRoom | null> {
    const { room = diskRoom } = this.#options;
    // Its folder may just have been removed.
    return room(folder).catch(() => null);
  }

  async #measure(watched: Watched, limits: TreeSize): Promise<TreeSize> {
    const { session, handle } = watched;
    let [bytes, entries] = [0, 0];
    for (const part of partsOf(handle.folder)) {
      const rest = { bytes: limits.bytes - bytes, entries: limits.entries - entries };
      const size = await treeSize(part, rest);
      bytes += size.bytes;
      entries += size.entries;
      if (bytes > limits.bytes || entries > limits.entries) break;
    }
    const rest = { bytes: limits.bytes - bytes, entries: limits.entries - entries };
    const layer = rest.bytes < 0 || rest.entries < 0 ? null : await this.#layer(session, handle, rest);
    const use = { bytes: bytes + (layer?.bytes ?? 0), entries: entries + (layer?.entries ?? 0) };
    const { most } = watched;
    watched.most = { bytes: Math.max(use.bytes, most?.bytes ?? 0), entries: Math.max(use.entries, most?.entries ?? 0) };
    return use;
  }

  /** A platform that is away says nothing now; it is asked again. */
  async #layer(session: BackendSession, handle: Handle, most: TreeSize): Promise<TreeSize | null> {
    try {
      return await session.layerUse(handle, most);
    } catch (error) {
      this.#options.log.debug({ err: error, attempt: handle.name }, "a container's layer was not measured");
      return null;
    }
  }
}

/** A small limit allows few files, too: a name takes room that no file's size tells. */
function entriesFor(bytes: number): number {
  return Math.max(ENTRIES_MIN, Math.floor(bytes / BYTES_PER_ENTRY));
}

function partsOf(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => !NOT_WRITTEN.has(name))
      .map((name) => join(folder, name));
  } catch {
    return [];
  }
}

function described({ bytes, entries }: TreeSize): string {
  return `${formatSize(bytes)} in ${entries} files and folders`;
}
