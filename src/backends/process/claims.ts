import {
  accessSync,
  closeSync,
  constants,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { fault } from "../../protocol/faults.ts";
import { errnoOf } from "../../std/errno.ts";
import { type AttemptRef, BackendError } from "../execution-backend.ts";

/** Another file system, or one without links. */
const NO_LINKS = new Set(["EXDEV", "EPERM", "EMLINK", "EOPNOTSUPP"]);

/** What is known of an attempt without looking at its process; one file per attempt, named like its object. */
export interface Claim {
  readonly ref: AttemptRef;
  readonly folder: string;
  readonly specHash: string;
  readonly argv0: string;
  readonly createdAtMs: number;
  /** Of the spec. Those that an older agent wrote have none. */
  readonly labels?: Readonly<Record<string, string>>;
}

/**
 * The attempts of this installation that were not released. A claim is written before a process is started, so that
 * no process is ever without one; an empty file is a claim whose writer died in between, and nothing was started.
 */
export class Claims {
  readonly #folder: string;

  constructor(stateFolder: string) {
    this.#folder = join(stateFolder, "attempts");
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
  }

  /** Throws when no claim could be added. */
  check(): void {
    accessSync(this.#folder, constants.R_OK | constants.W_OK | constants.X_OK);
  }

  /** Adds a claim and returns it, or returns the one that is there. */
  createOrRead(name: string, claim: Claim): Claim {
    const file = this.#open(name, "wx");
    if (file === null) {
      const existing = this.read(name);
      if (existing !== null) return existing;
    }
    this.#write(file ?? openSync(this.#path(name), "r+"), claim);
    return claim;
  }

  /** Null when the attempt does not exist. Throws when that cannot be told. */
  read(name: string): Claim | null {
    let text: string;
    try {
      text = readFileSync(this.#path(name), "utf8");
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw error;
      // A folder that is gone, such as an unmounted disk, says nothing about the attempt.
      statSync(this.#folder);
      return null;
    }
    return text === "" ? null : parseClaim(text, this.#path(name));
  }

  /**
   * Makes the claim appear under another path too. It is what `go` is made of: a link costs a tenth of a new file,
   * whose inode the file system has to find. Returns false where that cannot be.
   */
  link(name: string, path: string): boolean {
    try {
      linkSync(this.#path(name), path);
    } catch (error) {
      const code = errnoOf(error) ?? "";
      if (NO_LINKS.has(code)) return false;
      if (code !== "EEXIST") throw error;
    }
    return true;
  }

  remove(name: string): void {
    try {
      unlinkSync(this.#path(name));
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw error;
    }
  }

  names(): string[] {
    return readdirSync(this.#folder);
  }

  #open(name: string, flags: "wx"): number | null {
    try {
      return openSync(this.#path(name), flags, 0o600);
    } catch (error) {
      if (errnoOf(error) === "EEXIST") return null;
      throw error;
    }
  }

  #write(file: number, claim: Claim): void {
    try {
      writeSync(file, JSON.stringify(claim), 0);
    } finally {
      closeSync(file);
    }
  }

  #path(name: string): string {
    return join(this.#folder, name);
  }
}

function parseClaim(text: string, file: string): Claim {
  try {
    return JSON.parse(text) as Claim;
  } catch (error) {
    const message = `The claim of an attempt cannot be read: ${file} holds something else; look at it, and remove it.`;
    throw new BackendError("internal", fault("agent-error", message, { evidence: text }), { cause: error });
  }
}
