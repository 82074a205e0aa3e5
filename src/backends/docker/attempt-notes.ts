import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { errnoOf } from "../../std/errno.ts";
import type { AttemptRef, Observation } from "../execution-backend.ts";

/** What is kept of an attempt outside the engine, so that it is found although its container was deleted. */
export interface AttemptNote {
  readonly ref: AttemptRef;
  readonly folder: string;
  readonly specHash: string;
  readonly argv0: string;
  readonly createdAtMs: number;
  /** The end of an attempt that left no record, once it was told to anyone: from then on it stays. */
  readonly verdict?: Observation;
}

/**
 * The attempts of this installation that were not released, one small file each, named like the container. A note is
 * written before the container is created. Synchronous, like the control folder.
 */
export class AttemptNotes {
  readonly #folder: string;

  constructor(stateFolder: string) {
    this.#folder = join(stateFolder, "attempts");
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
  }

  /** Null when there is none. Throws when that cannot be told. */
  read(name: string): AttemptNote | null {
    try {
      return JSON.parse(readFileSync(this.#path(name), "utf8")) as AttemptNote;
    } catch (error) {
      if (errnoOf(error) === "ENOENT") {
        statSync(this.#folder); // A folder that is gone, such as an unmounted disk, says nothing about the attempt.
        return null;
      }
      // A power cut in the middle of a write: as if it had not been written.
      if (error instanceof SyntaxError) return null;
      throw error;
    }
  }

  write(name: string, note: AttemptNote): void {
    const draft = `${this.#path(name)}.${process.pid}`;
    writeFileSync(draft, JSON.stringify(note), { mode: 0o600 });
    renameSync(draft, this.#path(name));
  }

  remove(name: string): void {
    rmSync(this.#path(name), { force: true });
  }

  names(): string[] {
    return readdirSync(this.#folder).filter((name) => !name.includes("."));
  }

  #path(name: string): string {
    return join(this.#folder, name);
  }
}
