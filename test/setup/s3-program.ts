import { execFile } from "node:child_process";
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { tryLock } from "../../src/std/file-lock.ts";

const run = promisify(execFile);

/** A real S3 server of others, in Go: multipart uploads, presigned requests, ranges, checksums, policies. */
const MODULE = "github.com/versity/versitygw/cmd/versitygw";
const VERSION = "v1.8.0";
/** Compiling it takes a minute and a half on two cores. */
const BUILD_TIMEOUT_MS = 900_000;

/** The path of the server, compiled once per machine and kept outside of the repository. */
export async function ensureS3Program(): Promise<string> {
  const folder = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "berth-test");
  const program = join(folder, `versitygw-${VERSION}`);
  if (existsSync(program)) return program;
  mkdirSync(folder, { recursive: true });
  using _lock = await lock(join(folder, "versitygw.lock"));
  if (!existsSync(program)) await build(folder, program);
  return program;
}

async function lock(file: string): Promise<Disposable> {
  for (;;) {
    const held = tryLock(file);
    if (held !== null) return held;
    await sleep(200);
  }
}

async function build(folder: string, program: string): Promise<void> {
  const made = join(folder, "building");
  try {
    // Where Go's own installer puts it, which not every shell has on its path.
    const PATH = `${process.env.PATH ?? ""}:/usr/local/go/bin`;
    const env = { ...process.env, PATH, GOBIN: made, GOFLAGS: "", CGO_ENABLED: "0" };
    await run("go", ["install", `${MODULE}@${VERSION}`], { env, cwd: folder, timeout: BUILD_TIMEOUT_MS });
    renameSync(join(made, "versitygw"), program);
  } catch (error) {
    throw new Error(`The tests of S3 need Go (1.25 or newer on the PATH) to compile ${MODULE}@${VERSION}.`, {
      cause: error,
    });
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
}
