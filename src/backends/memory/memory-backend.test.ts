import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, beforeEach, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { fault } from "../../protocol/faults.ts";
import {
  type AttemptRef,
  type AttemptSpec,
  BackendError,
  type BackendSession,
  type Handle,
} from "../execution-backend.ts";
import { objectName } from "../object-name.ts";
import { MemoryBackend, MisuseError } from "./memory-backend.ts";
import { ends, exits, hangs, ignoresTerm, waitsThen } from "./script.ts";

const root = mkdtempSync(join(tmpdir(), "berth-memory-"));
const options = { installation: "test", stateFolder: root, settings: {} };
after(() => rmSync(root, { recursive: true, force: true }));

let backend: MemoryBackend;
let session: BackendSession;
beforeEach(async () => {
  backend = new MemoryBackend();
  session = await backend.open(options);
});

function lay(stepRun: string, attempt = 1, image: string | null = null): [AttemptRef, AttemptSpec] {
  const folder = mkdtempSync(join(root, "attempt-"));
  for (const part of ["in", "out", "tmp", "ctl"]) mkdirSync(join(folder, part));
  const limits = { cpus: null, memoryBytes: null, pids: 256 };
  const spec: AttemptSpec = {
    ...{ image, env: {}, workingFolder: null, mounts: [], network: "run" as const, limits, labels: {} },
    ...{ argv: ["true"], folder },
  };
  return [{ run: "run", stepRun, attempt, scope: "scope" }, spec];
}

async function outcomeOf(handle: Handle) {
  const seen = (await session.observe([handle])).get(handle.name)!;
  if (seen instanceof BackendError) throw seen;
  return seen.outcome;
}

async function submit(stepRun: string, attempt = 1): Promise<Handle> {
  return session.submit(...lay(stepRun, attempt));
}

test("without a script every step exits with 0", async () => {
  assert.equal((await outcomeOf(await submit("any")))?.state, "succeeded");
});

test("the nth script is for the nth attempt, and the last one for all that follow", async () => {
  backend.script("train", exits(1), exits(2), exits(0));
  const codes = [];
  for (const attempt of [1, 2, 3, 4]) codes.push((await outcomeOf(await submit("train", attempt)))?.exitCode);
  assert.deepEqual(codes, [1, 2, 0, 0]);
});

test("a script prints, and writes outputs into the attempt folder", async () => {
  backend.script("train", exits(0, { stdout: "line\n", stderr: "oops\n", outputs: { "folder/model": "trained" } }));
  const handle = await submit("train");
  assert.equal(readFileSync(join(handle.folder, "out", "folder", "model"), "utf8"), "trained");
  const chunks = await Array.fromAsync(session.logs(handle, "stderr", { offset: 1, follow: true }));
  assert.equal(Buffer.concat(chunks).toString(), "ops\n");
});

test("ends that no shell script can bring about: out of memory, vanished, never started", async () => {
  backend.script("oom", ends({ oom: true }));
  backend.script("gone", ends({ vanished: true }));
  backend.script("bad", ends({ neverStarted: fault("bad-entrypoint", "no such command") }));
  assert.equal((await outcomeOf(await submit("oom")))?.fault?.code, "oom");
  assert.equal((await outcomeOf(await submit("gone")))?.state, "lost");
  const bad = await submit("bad");
  assert.equal((await outcomeOf(bad))?.fault?.code, "bad-entrypoint");
  assert.equal(backend.attempt("bad").observation().userCode, "never");
});

test("a test steers a running step by hand, and waits until it runs", async () => {
  backend.script("train", hangs());
  const starting = backend.started("train");
  const handle = await submit("train");
  const attempt = await starting;
  assert.equal(await outcomeOf(handle), undefined);
  attempt.print("by hand");
  attempt.finish({ exit: 5 });
  attempt.finish({ exit: 6 });
  assert.equal((await outcomeOf(handle))?.exitCode, 5);
});

test("a script can wait until it is told", async () => {
  backend.script("train", waitsThen(exits(3)));
  const handle = await submit("train");
  const hinted = Promise.withResolvers<string>();
  using _watch = session.watch(hinted.resolve);
  backend.attempt("train").tell();
  assert.equal(await hinted.promise, handle.name);
  assert.equal((await outcomeOf(handle))?.exitCode, 3);
});

test("time is the test's own: a delay and a grace pass when its clock says so", async () => {
  const timers: { ms: number; act: () => void }[] = [];
  backend = new MemoryBackend({ clock: { now: () => 0, after: (ms, act) => timers.push({ ms, act }) } });
  session = await backend.open(options);
  backend.script("slow", exits(0, { afterMs: 5_000 }));
  backend.script("stubborn", ignoresTerm());
  const slow = await submit("slow");
  const stubborn = await submit("stubborn");
  await session.cancel(stubborn, { graceMs: 9_000, reason: "user" });
  assert.deepEqual([await outcomeOf(slow), await outcomeOf(stubborn)], [undefined, undefined]);
  assert.deepEqual(
    timers.map(({ ms }) => ms),
    [5_000, 9_000],
  );
  for (const { act } of timers) act();
  await setImmediate();
  assert.equal((await outcomeOf(slow))?.state, "succeeded");
  assert.equal((await outcomeOf(stubborn))?.signal, "SIGKILL");
});

test("a platform that is out for two calls fails two calls, of the methods that were named", async () => {
  const handle = await submit("train");
  backend.becomeUnavailable({ calls: 2, methods: ["observe", "submit"] });
  const seen = (await session.observe([handle])).get(handle.name);
  assert.ok(seen instanceof BackendError && seen.retryable);
  assert.ok((await session.attach(handle.ref)) !== null);
  await assert.rejects(() => submit("other"), { code: "unavailable" });
  assert.equal((await outcomeOf(handle))?.state, "succeeded");
  assert.equal(backend.callsOf("submit", "other"), 1);
});

test("when the agent is killed its session fails, its attempts go on, and the next session finds them", async () => {
  backend.script("train", hangs());
  const handle = await submit("train");
  backend.killSessions();
  await assert.rejects(
    () => session.observe([handle]).then((seen) => Promise.reject(seen.get(handle.name))),
    BackendError,
  );
  session = await backend.open(options);
  assert.deepEqual(await session.attach(handle.ref), handle);
  backend.attempt("train").finish({ exit: 0 });
  assert.equal((await outcomeOf(handle))?.state, "succeeded");
  assert.equal(backend.attempt("train").starts, 1);
  backend.assertNoMisuse();
});

test("with images, one that is missing is a fault, and one that was not prepared is not used", async () => {
  backend = new MemoryBackend({ capabilities: { images: true } });
  session = await backend.open(options);
  backend.image("missing:1", () => ({ ok: false, fault: fault("image-not-found", "no missing:1") }));
  const signal = new AbortController().signal;
  const missing = await session.prepareImage({ kind: "ready", image: "missing:1" }, () => {}, signal);
  assert.equal(missing.ok, false);
  await assert.rejects(() => session.submit(...lay("train", 1, "there:1")), MisuseError);
  await session.prepareImage({ kind: "ready", image: "there:1" }, () => {}, signal);
  await session.submit(...lay("train", 1, "there:1"));
});

const MISUSES: readonly [title: string, act: (handle: Handle) => Promise<unknown>][] = [
  ["an attempt that was never submitted is observed", (handle) => session.observe([unknown(handle)])],
  ["an attempt is prepared after its submit", ({ ref, folder }) => session.prepare(ref, specIn(folder))],
  [
    "the log of a released attempt is read",
    async (handle) => {
      await session.release(handle);
      await Array.fromAsync(session.logs(handle, "stdout", { offset: 0, follow: false }));
    },
  ],
  [
    "a released attempt is submitted again",
    async (handle) => {
      await session.release(handle);
      await session.submit(handle.ref, specIn(handle.folder));
    },
  ],
  ["a scope is released before its attempts", ({ ref }) => session.releaseScope(ref.scope)],
  ["a handle was altered", (handle) => session.cancel({ ...handle, name: "bother" }, { graceMs: 0, reason: "user" })],
  ["a handle is of another backend", (handle) => session.release({ ...handle, backend: "docker" })],
  [
    "the attempt folder was not made",
    () => session.submit({ ...lay("x")[0], attempt: 2 }, specIn("/berth/no/such/folder")),
  ],
  [
    "the session was disposed",
    async (handle) => {
      await session[Symbol.asyncDispose]();
      await session.attach(handle.ref);
    },
  ],
];

function specIn(folder: string): AttemptSpec {
  return { ...lay("x")[1], folder };
}

/** The handle of an attempt that nobody submitted. */
function unknown({ ref, ...handle }: Handle): Handle {
  const never = { ...ref, attempt: 9 };
  return { ...handle, ref: never, name: objectName(options.installation, never) };
}

for (const [title, act] of MISUSES) {
  test(`it is a misuse when ${title}, and it shows even if the error is swallowed`, async () => {
    const handle = await submit("train");
    await assert.rejects(() => act(handle), MisuseError);
    assert.equal(backend.misuses.length, 1);
    assert.throws(() => backend.assertNoMisuse(), MisuseError);
  });
}
