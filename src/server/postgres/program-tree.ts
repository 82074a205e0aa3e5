import { spawnSync } from "node:child_process";
import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { BerthError } from "../../protocol/errors.ts";
import type { ProgramUser } from "./program-user.ts";

/**
 * Where the programs can be started from, and the descriptor that children get as number 3.
 *
 * As root, PostgreSQL runs as another user, who may not be able to reach a checkout below a private folder such as
 * /root. The programs insist on resolving their own path, so the two of them are copied into a small folder of their
 * own; libraries and shared files stay where they are and are reached through the inherited descriptor of their
 * folder, which needs no permission on the folders above it.
 */
export interface ProgramTree extends Disposable {
  readonly bin: string;
  readonly installation: number | "ignore";
}

const COPY_PREFIX = "berth-postgres-";
const COPIED = ["postgres", "initdb"];
/** /run is for exactly this; a container may lack it or mount it without execution. */
const PLACES = ["/run", tmpdir()];

/** @param note file that remembers a copy, so that the next start removes what a killed server left behind */
export function programTree(installation: string, user: ProgramUser | null, note: string): ProgramTree {
  removeNoted(note);
  if (user === null || isReachable(installation, user)) {
    return { bin: join(installation, "bin"), installation: "ignore", [Symbol.dispose]: () => {} };
  }
  makeReadable(installation);
  const descriptor = openSync(installation, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const folder = copyPrograms(installation, descriptor, user, note);
    return {
      bin: join(folder, "bin"),
      installation: descriptor,
      [Symbol.dispose]: () => {
        closeSync(descriptor);
        removeNoted(note);
      },
    };
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

function copyPrograms(installation: string, descriptor: number, user: ProgramUser, note: string): string {
  const refused: string[] = [];
  for (const place of PLACES) {
    try {
      const folder = mkdtempSync(join(place, COPY_PREFIX));
      writeFileSync(note, folder);
      chmodSync(folder, 0o755);
      mkdirSync(join(folder, "bin"));
      for (const program of COPIED) copyFileSync(join(installation, "bin", program), join(folder, "bin", program));
      for (const part of ["lib", "share"]) symlinkSync(`/proc/self/fd/3/${part}`, join(folder, part));
      const tried = tryProgram(folder, descriptor, user);
      if (tried === null) return folder;
      refused.push(`${place}: ${tried}`);
      removeNoted(note);
    } catch (error) {
      refused.push(`${place}: ${String(error)}`);
    }
  }
  throw new BerthError(
    "unavailable",
    `the user ${user.name} cannot run PostgreSQL from ${installation}, nor from a copy (${refused.join("; ")})`,
    { advice: "Start Berth as another user than root, or set DATABASE_URL." },
  );
}

/** Null when the program runs; else why it does not. */
function tryProgram(folder: string, descriptor: number, user: ProgramUser): string | null {
  const { status, stderr, error } = spawnSync(join(folder, "bin/postgres"), ["-V"], {
    cwd: "/",
    uid: user.uid,
    gid: user.gid,
    env: { LC_ALL: "C" },
    stdio: ["ignore", "ignore", "pipe", descriptor],
    encoding: "utf8",
  });
  return status === 0 ? null : (error?.message ?? stderr.trim());
}

function isReachable(installation: string, user: ProgramUser): boolean {
  const entry = join(realpathSync(installation), "bin/postgres");
  for (let folder = dirname(entry); ; folder = dirname(folder)) {
    if (!isAllowed(folder, user, 1)) return false;
    if (folder === dirname(folder)) break;
  }
  return isAllowed(entry, user, 5);
}

/** Whether the mode grants `bits` (as in one octal digit); access lists are not looked at, a copy is always right. */
function isAllowed(path: string, user: ProgramUser, bits: number): boolean {
  const { mode, uid, gid } = statSync(path);
  const shift = uid === user.uid ? 6 : gid === user.gid ? 3 : 0;
  return ((mode >> shift) & bits) === bits;
}

/** Under a private umask npm leaves these public files private; the descriptor alone does not open them. */
function makeReadable(installation: string): void {
  if ((statSync(join(installation, "share")).mode & 5) === 5 && (statSync(installation).mode & 5) === 5) return;
  chmodSync(installation, 0o755);
  for (const entry of readdirSync(installation, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isDirectory()) chmodSync(path, 0o755);
    else if (entry.isFile()) chmodSync(path, statSync(path).mode & 0o100 ? 0o755 : 0o644);
  }
}

function removeNoted(note: string): void {
  if (!existsSync(note)) return;
  const folder = readFileSync(note, "utf8");
  // Only what carries our name is removed, whatever the note says.
  if (basename(folder).startsWith(COPY_PREFIX)) rmSync(folder, { recursive: true, force: true });
  rmSync(note, { force: true });
}
