import type { Logger } from "pino";
import type { diskSpace } from "./capabilities.ts";
import { type AgentConfig, diskFreeMin } from "./config.ts";

export type DiskSpace = typeof diskSpace;

/** Says whether there is room on the disk to take another run. */
export class DiskGate {
  readonly #home: string;
  readonly #config: AgentConfig;
  readonly #measure: DiskSpace;
  readonly #log: Logger;
  #open = true;
  #freeBytes = 0;
  #neededBytes = 0;
  #totalBytes = 0;

  constructor(options: { home: string; config: AgentConfig; measure: DiskSpace; log: Logger }) {
    this.#home = options.home;
    this.#config = options.config;
    this.#measure = options.measure;
    this.#log = options.log;
  }

  get isOpen(): boolean {
    return this.#open;
  }

  get freeBytes(): number {
    return this.#freeBytes;
  }

  /** Free space from which on it is open. */
  get neededBytes(): number {
    return this.#neededBytes;
  }

  get totalBytes(): number {
    return this.#totalBytes;
  }

  /** Measures again. A disk that cannot be measured counts as full: nothing could be written to it either. */
  async refresh(): Promise<void> {
    const space = await this.#measure(this.#home).catch(() => ({ freeBytes: 0, totalBytes: 0 }));
    const needed = Math.ceil(diskFreeMin(this.#config, space.totalBytes));
    const open = space.freeBytes >= needed;
    if (open !== this.#open) {
      this.#log.warn(
        { ...space, neededBytes: needed },
        open ? "there is room again: taking runs" : "the disk is nearly full: taking no runs",
      );
    }
    this.#open = open;
    this.#freeBytes = space.freeBytes;
    this.#neededBytes = needed;
    this.#totalBytes = space.totalBytes;
  }
}
