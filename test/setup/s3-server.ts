import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { closeSync, openSync, readFileSync, rmSync } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "./free-port.ts";
import { ensureS3Program } from "./s3-program.ts";

const START_TIMEOUT_MS = 30_000;

/** A real S3 server on the loopback address, with a folder of its own. Disposing it ends it and removes the folder. */
export interface S3Server extends AsyncDisposable {
  readonly endpoint: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Its buckets are the folders in here, and its objects files. */
  readonly folder: string;
  /** What a program that uses the default chain of credentials needs in its environment. */
  readonly env: Readonly<Record<string, string>>;
  readonly pid: number;
  /** Makes a bucket and returns its name. */
  makeBucket(): Promise<string>;
  /** Makes a user who may do nothing until a policy says otherwise. */
  makeUser(): { readonly accessKeyId: string; readonly secretAccessKey: string };
}

export async function startS3Server(): Promise<S3Server> {
  const program = await ensureS3Program();
  const home = await mkdtemp(join(tmpdir(), "berth-test-s3-"));
  const folder = join(home, "buckets");
  for (const name of ["buckets", "users"]) await mkdir(join(home, name));
  const [port, adminPort] = [await freePort(), await freePort()];
  const endpoint = `http://127.0.0.1:${port}`;
  const keys = { accessKeyId: "berth-root", secretAccessKey: randomBytes(15).toString("hex") };
  const region = "us-east-1";
  const args = ["--port", `127.0.0.1:${port}`, "--admin-port", `127.0.0.1:${adminPort}`, "--region", region];
  const logFile = join(home, "log");
  const child = startProgram(program, [...args, "--iam-dir", join(home, "users"), "--keep-alive", "posix", folder], {
    logFile,
    env: { ROOT_ACCESS_KEY: keys.accessKeyId, ROOT_SECRET_KEY: keys.secretAccessKey },
  });
  const closed = once(child, "close");
  // It is no reason for this process to go on, which ends it if nobody did before.
  child.unref();
  const abandon = () => {
    child.kill("SIGKILL");
    rmSync(home, { recursive: true, force: true });
  };
  process.once("exit", abandon);
  await using started = new AsyncDisposableStack();
  started.defer(() => rm(home, { recursive: true, force: true }));
  started.defer(async () => {
    process.off("exit", abandon);
    child.ref();
    child.kill("SIGKILL");
    await closed;
  });
  await answers(endpoint, child, logFile);
  const all = started.move();
  return {
    ...{ endpoint, region, folder, ...keys },
    env: {
      AWS_ACCESS_KEY_ID: keys.accessKeyId,
      AWS_SECRET_ACCESS_KEY: keys.secretAccessKey,
      AWS_REGION: region,
    },
    pid: child.pid!,
    makeBucket: async () => {
      const bucket = `bucket-${randomBytes(5).toString("hex")}`;
      await mkdir(join(folder, bucket));
      return bucket;
    },
    makeUser: () => {
      const user = { accessKeyId: `user${randomBytes(4).toString("hex")}`, secretAccessKey: "secret-of-the-user" };
      const admin = ["admin", "--access", keys.accessKeyId, "--secret", keys.secretAccessKey];
      const where = ["--endpoint-url", `http://127.0.0.1:${adminPort}`, "--region", region];
      const create = ["create-user", "--access", user.accessKeyId, "--secret", user.secretAccessKey, "--role", "user"];
      const made = spawnSync(program, [...admin, ...where, ...create], { encoding: "utf8" });
      if (made.status !== 0) throw new Error(`no user could be made: ${made.stderr}`);
      return user;
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

/** It ends with this process, even when that is killed. */
function startProgram(
  program: string,
  args: readonly string[],
  { logFile, env }: { readonly logFile: string; readonly env: NodeJS.ProcessEnv },
): ChildProcess {
  const log = openSync(logFile, "a");
  try {
    return spawn("setpriv", ["--pdeathsig", "KILL", program, ...args], {
      stdio: ["ignore", log, log],
      env: { ...process.env, ...env },
    });
  } finally {
    closeSync(log);
  }
}

async function answers(endpoint: string, child: ChildProcess, logFile: string): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    try {
      await (await fetch(endpoint)).arrayBuffer();
      return;
    } catch (error) {
      if (child.exitCode === null && Date.now() < deadline) {
        await sleep(20);
        continue;
      }
      const log = readFileSync(logFile, "utf8").slice(-2000);
      throw new Error(`the S3 server ended with ${child.exitCode ?? "no answer in time"}: ${log}`, { cause: error });
    }
  }
}

let shared: Promise<S3Server> | undefined;

/** One server for all tests of a file, until its process ends; each test makes buckets of its own. */
export function sharedS3Server(): Promise<S3Server> {
  shared ??= startS3Server();
  return shared;
}

/** A server of one test, such as one that is to be killed. */
export async function ownS3Server(t: TestContext): Promise<S3Server> {
  const server = await startS3Server();
  t.after(() => server[Symbol.asyncDispose]());
  return server;
}
