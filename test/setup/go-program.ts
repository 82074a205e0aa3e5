import { execFile } from "node:child_process";
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { tryLock } from "../../src/std/file-lock.ts";

const run = promisify(execFile);

/** A real server of others that tests talk to. */
export interface GoProgram {
  /** Of the program that it is compiled to. */
  readonly name: string;
  readonly module: string;
  readonly version: string;
}

/** Compiling one takes up to a minute and a half on two cores. */
const BUILD_TIMEOUT_MS = 900_000;

/** The path of the program, compiled once per machine and kept outside of the repository. */
export async function ensureGoProgram(wanted: GoProgram): Promise<string> {
  const folder = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "berth-test");
  const program = join(folder, `${wanted.name}-${wanted.version}`);
  if (existsSync(program)) return program;
  mkdirSync(folder, { recursive: true });
  using _lock = await lock(join(folder, `${wanted.name}.lock`));
  if (!existsSync(program)) await build(folder, program, wanted);
  return program;
}

async function lock(file: string): Promise<Disposable> {
  for (;;) {
    const held = tryLock(file);
    if (held !== null) return held;
    await sleep(200);
  }
}

async function build(folder: string, program: string, { name, module, version }: GoProgram): Promise<void> {
  const made = join(folder, `building-${name}`);
  try {
    // Where Go's own installer puts it, which not every shell has on its path.
    const PATH = `${process.env.PATH ?? ""}:/usr/local/go/bin`;
    const env = { ...process.env, PATH, GOBIN: made, GOFLAGS: "", CGO_ENABLED: "0" };
    await run("go", ["install", `${module}@${version}`], { env, cwd: folder, timeout: BUILD_TIMEOUT_MS });
    renameSync(join(made, name), program);
  } catch (error) {
    throw new Error(`The tests need Go (1.25 or newer on the PATH) to compile ${module}@${version}.`, {
      cause: error,
    });
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
}
