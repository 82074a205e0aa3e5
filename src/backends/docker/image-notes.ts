import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { errnoOf } from "../../std/errno.ts";

/** Of an image that the engine has because of runs: the names that it got for them. */
export interface ImageNote {
  readonly id: string;
  readonly names: readonly string[];
  readonly usedAtMs: number;
}

/**
 * Which images this installation pulled or built, one small file each, whose time is that of the image's last use. An
 * image without a note is somebody else's. Losing a note loses disk space; no note is written for what was there before.
 */
export class ImageNotes {
  readonly #folder: string;

  constructor(stateFolder: string) {
    this.#folder = join(stateFolder, "images");
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
  }

  /** Null for an image that is not this installation's. */
  read(id: string): ImageNote | null {
    const path = this.#path(id);
    try {
      const names = JSON.parse(readFileSync(path, "utf8")) as string[];
      return { id, names, usedAtMs: statSync(path).mtimeMs };
    } catch (error) {
      // A power cut in the middle of a write: as if it had not been written.
      if (errnoOf(error) === "ENOENT" || error instanceof SyntaxError) return null;
      throw error;
    }
  }

  all(): ImageNote[] {
    const files = readdirSync(this.#folder).filter((name) => !name.includes("."));
    return files.map((hex) => this.read(`sha256:${hex}`)).filter((note) => note !== null);
  }

  /** Adds names to those that the image has because of runs. */
  add(id: string, names: readonly string[]): void {
    const known = this.read(id)?.names ?? [];
    const draft = `${this.#path(id)}.${process.pid}`;
    writeFileSync(draft, JSON.stringify([...new Set([...known, ...names])]), { mode: 0o600 });
    renameSync(draft, this.#path(id));
  }

  /** It was used now. Changes nothing for an image without a note. */
  touch(id: string): void {
    const now = new Date();
    try {
      utimesSync(this.#path(id), now, now);
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw error;
    }
  }

  remove(id: string): void {
    rmSync(this.#path(id), { force: true });
  }

  #path(id: string): string {
    return join(this.#folder, id.replace(/^sha256:/, ""));
  }
}
