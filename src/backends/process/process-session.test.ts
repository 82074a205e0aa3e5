import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import {
  type AttemptRef,
  type AttemptSpec,
  BackendError,
  type BackendSession,
  type Handle,
  type Observation,
} from "../execution-backend.ts";
import { findShims, findStrays } from "./proc.ts";
import { processBackend } from "./process-backend.ts";

const DEADLINE_MS = 20_000;

let root: string;
let session: BackendSession;
const submitted: Handle[] = [];

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "berth-process-"));
  session = await open();
});
afterEach(async () => {
  for (const handle of submitted.splice(0)) await session.release(handle, { force: true });
  await session[Symbol.asyncDispose]();
  rmSync(root, { recursive: true, force: true });
});

function open(shim?: string): Promise<BackendSession> {
  const options = { installation: "test", stateFolder: join(root, "state"), settings: {} };
  return processBackend(shim === undefined ? {} : { shim }).open(options);
}

function lay(script: string, change: Partial<AttemptSpec> = {}): { ref: AttemptRef; spec: AttemptSpec } {
  const folder = mkdtempSync(join(root, "attempt-"));
  for (const part of ["in", "out", "tmp", "ctl"]) mkdirSync(join(folder, part));
  const ref = { run: "run", stepRun: folder, attempt: 1, scope: "run" };
  const limits = { cpus: null, memoryBytes: null, pids: 256 };
  const spec: AttemptSpec = {
    ...{ image: null, env: {}, workingFolder: null, mounts: [], network: "run" as const, limits, labels: {} },
    ...{ argv: ["sh", "-c", script], folder },
    ...change,
  };
  return { ref, spec };
}

async function submit({ ref, spec }: { ref: AttemptRef; spec: AttemptSpec }): Promise<Handle> {
  const handle = await session.submit(ref, spec);
  submitted.push(handle);
  return handle;
}

async function see(handle: Handle, through = session): Promise<Observation> {
  const seen = (await through.observe([handle])).get(handle.name)!;
  if (seen instanceof BackendError) throw seen;
  return seen;
}

async function until<T>(what: string, look: () => T | Promise<T>, isMet: (value: T) => boolean): Promise<T> {
  const deadlineMs = performance.now() + DEADLINE_MS;
  for (;;) {
    const value = await look();
    if (isMet(value)) return value;
    if (performance.now() > deadlineMs) throw new Error(`waited for ${what}, last seen: ${JSON.stringify(value)}`);
    await setTimeout(10);
  }
}

test("a working folder that does not exist is the pipeline's mistake, and leaves nothing", async () => {
  const { ref, spec } = lay("true", { workingFolder: "/berth/no/such/folder" });
  await assert.rejects(
    () => session.submit(ref, spec),
    (error) => error instanceof BackendError && error.fault.code === "spec-invalid" && !error.retryable,
  );
  assert.equal(await session.attach(ref), null);
  assert.deepEqual(readdirSync(join(root, "state", "attempts")), []);
});

test("a process sees the GPUs of its spec, and none where there are none, as far as it goes by the variables", async () => {
  const say = 'echo "$CUDA_VISIBLE_DEVICES|$NVIDIA_VISIBLE_DEVICES" > "$BERTH_OUT/gpus"';
  const env = { CUDA_VISIBLE_DEVICES: "7" };
  for (const [gpus, expected] of [
    [["GPU-a", "GPU-b"], "GPU-a,GPU-b|GPU-a,GPU-b\n"],
    [undefined, "|void\n"],
  ] as const) {
    const laid = lay(say, { env, ...(gpus === undefined ? {} : { gpus }) });
    const handle = await submit(laid);
    await until(
      "its end",
      () => see(handle),
      ({ state }) => state === "terminal",
    );
    assert.equal(readFileSync(join(laid.spec.folder, "out/gpus"), "utf8"), expected);
  }
});

test("arguments that are too large together are the pipeline's mistake", async () => {
  const { ref, spec } = lay("true", { argv: ["true", ...Array(40).fill("x".repeat(100_000))] });
  await assert.rejects(
    () => session.submit(ref, spec),
    (error) => error instanceof BackendError && error.fault.code === "spec-invalid",
  );
});

test("a missing shim makes the backend unhealthy, and a submit may be tried again later", async () => {
  const shim = join(root, "berth-shim-linux-none");
  await using broken = await open(shim);
  const probe = await broken.probe();
  assert.equal(probe.healthy, false);
  assert.match(probe.reason ?? "", /berth-shim-linux-none/);
  const { ref, spec } = lay("true");
  await assert.rejects(
    () => broken.submit(ref, spec),
    (error) => error instanceof BackendError && error.retryable,
  );
  writeFileSync(shim, readFileSync((await session.probe()).facts.shim as string));
  chmodSync(shim, 0o755);
  assert.equal((await broken.probe()).healthy, true);
  submitted.push(await broken.submit(ref, spec));
  await until(
    "the end",
    () => see(submitted[0]!),
    ({ state }) => state === "terminal",
  );
});

test("unknown settings are refused by name", async () => {
  const options = { installation: "test", stateFolder: root, settings: { shm: "1g" } };
  await assert.rejects(() => processBackend().open(options), /shm/);
});

test("a claim that was left before a process was started is not an attempt; a submit starts it", async () => {
  const laid = lay("true");
  const handle = await submit(laid);
  await until(
    "the end",
    () => see(handle),
    ({ state }) => state === "terminal",
  );
  // What an agent leaves that dies between the two: a claim, and a control folder without a trace of a shim.
  rmSync(join(laid.spec.folder, "ctl"), { recursive: true });
  mkdirSync(join(laid.spec.folder, "ctl"));
  await using another = await open();
  assert.equal(await another.attach(laid.ref), null);
  assert.equal((await see(handle, another)).userCode, "never");
  await another.submit(laid.ref, laid.spec);
  const { outcome } = await until(
    "the end",
    () => see(handle, another),
    ({ state }) => state === "terminal",
  );
  assert.equal(outcome?.state, "succeeded");
});

test("when the shim is killed the attempt is lost, and releasing it kills what it left behind", async () => {
  const { ref, spec } = lay('trap "" TERM; echo up > "$BERTH_OUT"/up; while :; do sleep 0.1; done');
  const handle = await submit({ ref, spec });
  await until(
    "the step",
    () => see(handle),
    ({ state }) => state === "running",
  );
  process.kill(findShims().get(`${spec.folder}/ctl`)!, "SIGKILL");
  const { outcome } = await until(
    "the end",
    () => see(handle),
    ({ state }) => state === "terminal",
  );
  assert.equal(outcome?.state, "lost");
  await session.release(handle);
  await until(
    "no process",
    () => findStrays(spec.folder),
    (pids) => pids.length === 0,
  );
});

test("TERM from outside is told apart from the step's own end, even if its handler exits with 0", async () => {
  const { ref, spec } = lay('trap "exit 0" TERM; echo up > "$BERTH_OUT"/up; while :; do sleep 0.05; done');
  const handle = await submit({ ref, spec });
  await until(
    "the step",
    () => readdirSync(join(spec.folder, "out")),
    (files) => files.length > 0,
  );
  process.kill(findShims().get(`${spec.folder}/ctl`)!, "SIGTERM");
  const { outcome } = await until(
    "the end",
    () => see(handle),
    ({ state }) => state === "terminal",
  );
  assert.equal(outcome?.state, "failed");
  assert.equal(outcome?.fault?.code, "deleted-externally");
});

test("the end of an attempt that another process started is hinted at, too", async () => {
  const laid = lay('while [ ! -e "$BERTH_OUT"/go ]; do sleep 0.05; done');
  const handle = await submit(laid);
  await using another = await open();
  const hinted = Promise.withResolvers<void>();
  using _watch = another.watch((name) => name === handle.name && hinted.resolve());
  assert.notEqual((await see(handle, another)).state, "terminal");
  writeFileSync(join(laid.spec.folder, "out", "go"), "");
  await hinted.promise;
  assert.equal((await see(handle, another)).outcome?.state, "succeeded");
});

test("a follower of a session that is closed is told so, and the step goes on", async () => {
  const laid = lay('while [ ! -e "$BERTH_OUT"/go ]; do sleep 0.05; done');
  const handle = await submit(laid);
  const another = await open();
  const reading = Array.fromAsync(another.logs(handle, "stdout", { offset: 0, follow: true }));
  const refused = assert.rejects(reading, /session was closed/);
  await another[Symbol.asyncDispose]();
  await refused;
  assert.notEqual((await see(handle)).state, "terminal");
});

test("a log that user code replaced by a link or a FIFO is not followed anywhere", async () => {
  const secret = join(root, "secret");
  writeFileSync(secret, "of the host");
  const { ref, spec } = lay(`cd "$BERTH_DIR"/ctl; rm stdout stderr; ln -s '${secret}' stdout; mkfifo stderr`);
  const handle = await submit({ ref, spec });
  await until(
    "the end",
    () => see(handle),
    ({ state }) => state === "terminal",
  );
  for (const stream of ["stdout", "stderr"] as const) {
    const chunks = await Array.fromAsync(session.logs(handle, stream, { offset: 0, follow: true }));
    assert.equal(Buffer.concat(chunks).toString(), "");
  }
});

test("a claim file that holds no claim makes the list fail rather than be partial", async () => {
  writeFileSync(join(root, "state", "attempts", "bbroken"), "{ not JSON");
  await assert.rejects(() => Array.fromAsync(session.list()), BackendError);
});

test("a process that only waits for hints can still end: sessions hold no timer and no child", async () => {
  const handles = process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length;
  const handle = await submit(lay("sleep 600"));
  using _watch = session.watch(() => {});
  await see(handle);
  assert.equal(process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length, handles);
  assert.ok(!process.getActiveResourcesInfo().includes("ProcessWrap"));
});
