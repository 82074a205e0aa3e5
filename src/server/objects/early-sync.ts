import type { FileHandle } from "node:fs/promises";

/** After so many bytes the disk has enough to do, and the end of a large file little left to wait for. */
const SYNC_EVERY_BYTES = 64 * 1024 * 1024;

/** Sends what was written to the disk while more is being written, one sync at a time. */
export class EarlySync {
  readonly #file: FileHandle;
  #unsynced = 0;
  #syncing: Promise<void> | null = null;
  #failure: { readonly error: unknown } | null = null;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  /** So many more bytes were written. Throws what a sync before failed with: the system tells that only once. */
  written(bytes: number): void {
    if (this.#failure !== null) throw this.#failure.error;
    this.#unsynced += bytes;
    if (this.#unsynced < SYNC_EVERY_BYTES || this.#syncing !== null) return;
    this.#unsynced = 0;
    this.#syncing = this.#file.datasync().then(
      () => {
        this.#syncing = null;
      },
      (error: unknown) => {
        this.#failure = { error };
      },
    );
  }

  /** When no sync is under way any more, and the file may be closed; throws as `written` does. */
  async settled(): Promise<void> {
    await this.#syncing;
    if (this.#failure !== null) throw this.#failure.error;
  }
}
