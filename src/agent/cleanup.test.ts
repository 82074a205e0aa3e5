import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { pino } from "pino";
import { MEMORY_CAPABILITIES, MemoryBackend } from "../backends/memory/memory-backend.ts";
import { hangs } from "../backends/memory/script.ts";
import { newId } from "../protocol/ids.ts";
import { makeAttemptFolder } from "../runtime/attempt-folder.ts";
import { abandonedAttemptFolders, releaseOrphans } from "./cleanup.ts";
import { attemptFolder, runFolder, scopeOf } from "./run-folder.ts";

const log = pino({ level: "silent" });
const HOUR_MS = 3_600_000;

async function platform(t: TestContext) {
  const home = mkdtempSync(join(tmpdir(), "berth-cleanup-"));
  const backend = new MemoryBackend({ fallback: hangs() });
  const session = await backend.open({ installation: "test", stateFolder: home, settings: {} });
  t.after(async () => {
    await session[Symbol.asyncDispose]();
    rmSync(home, { recursive: true });
  });
  const submit = async (folder: string, lease: { run: string; epoch: number }) => {
    const ref = { run: lease.run, stepRun: "a", attempt: 1, scope: scopeOf(lease) };
    const limits = { cpus: null, memoryBytes: null, pids: 10 };
    const spec = {
      image: null,
      argv: ["true"] as const,
      env: {},
      workingFolder: null,
      folder,
      mounts: [],
      network: "run" as const,
    };
    makeAttemptFolder(folder);
    return session.submit(ref, { ...spec, limits, labels: {} });
  };
  const sweep = (live: { run: string; epoch: number }[], nowMs = Date.now() + 2 * HOUR_MS) => {
    const backends = new Map([["memory", { session, capabilities: MEMORY_CAPABILITIES, healthy: true }]]);
    return releaseOrphans({ home, backends, live, nowMs, log });
  };
  return { home, backend, submit, sweep };
}

const newLease = () => ({ run: newId("run"), epoch: 1 });

test("an object of this agent that no run knows is released, once it is an hour old", async (t) => {
  const { home, backend, submit, sweep } = await platform(t);
  const lease = newLease();
  await submit(attemptFolder(home, lease, 0, "object"), lease);
  assert.equal(await sweep([], Date.now()), 0, "too young");
  assert.equal(await sweep([lease]), 0, "its run is under way");
  assert.equal(await sweep([]), 1);
  assert.equal(backend.attempts.size, 0);
});

test("another agent's object on the same platform is left alone", async (t) => {
  const { home, backend, submit, sweep } = await platform(t);
  await submit(`${home}-of-another/attempts/x/object`, newLease());
  assert.equal(await sweep([]), 0);
  assert.equal(backend.attempts.size, 1);
  rmSync(`${home}-of-another`, { recursive: true });
});

test("a platform that does not answer is left alone", async (t) => {
  const { home, backend, submit, sweep } = await platform(t);
  const lease = newLease();
  await submit(attemptFolder(home, lease, 0, "object"), lease);
  backend.becomeUnavailable({ calls: 1, methods: ["list"] });
  assert.equal(await sweep([]), 0);
  assert.equal(backend.attempts.size, 1);
});

test("attempt folders without a live run and without a journal are found", async (t) => {
  const { home } = await platform(t);
  const [live, journaled, gone] = [newLease(), newLease(), newLease()];
  for (const lease of [live, journaled, gone]) mkdirSync(attemptFolder(home, lease, 3, "object"), { recursive: true });
  mkdirSync(runFolder(home, journaled), { recursive: true });
  assert.deepEqual(abandonedAttemptFolders(home, [live]), [join(home, "attempts", `${scopeOf(gone)}.3`)]);
});
