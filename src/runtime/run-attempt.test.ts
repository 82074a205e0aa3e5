import assert from "node:assert/strict";
import { lstatSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { MemoryBackend } from "../backends/memory/memory-backend.ts";
import { ends, exits, hangs, ignoresTerm, waitsThen } from "../backends/memory/script.ts";
import type { OutputPlan } from "../protocol/plan.ts";
import type { AttemptWork, RuntimeContext } from "./attempt-work.ts";
import { prepareAttempt } from "./prepare-attempt.ts";
import { runAttempt } from "./run-attempt.ts";
import { AttemptDetached } from "./run-to-end.ts";
import { runtimeFixture } from "./testing/runtime-fixture.ts";

const never = new AbortController().signal;

function run(context: RuntimeContext, work: AttemptWork, stop: AbortSignal = never, phases: string[] = []) {
  return runAttempt(context, work, { onPhase: (phase) => phases.push(phase) }, stop);
}

function output(more: Partial<OutputPlan> = {}): OutputPlan {
  return { path: "model.csv", type: "file", optional: false, when: "success", ...more };
}

test("a step that exits 0 and wrote its output succeeds, phase by phase", async () => {
  await using fixture = await runtimeFixture(new MemoryBackend());
  fixture.backend.script("train", exits(0, { outputs: { "model.csv": "a,b\n" } }));
  const phases: string[] = [];
  const result = await run(fixture.context, fixture.work({ outputs: { model: output() } }), never, phases);
  assert.equal(result.outcome.state, "succeeded");
  assert.deepEqual(phases, ["inputs", "running", "outputs"]);
  const { digest, ...content } = result.outputs.model!;
  assert.deepEqual(content, { kind: "file", size: 4, fileName: "model.csv", contentType: "text/csv", fileCount: 1 });
  assert.equal(readFileSync(fixture.cache.find(digest, 4)!, "utf8"), "a,b\n");
  assert.ok(result.handle !== null && result.phases.running! >= 0);
  fixture.backend.assertNoMisuse();
});

test("exit 0 without a required output is a failure with the fault output-missing", async () => {
  await using fixture = await runtimeFixture(new MemoryBackend());
  const result = await run(fixture.context, fixture.work({ outputs: { model: output() } }));
  assert.equal(result.outcome.state, "failed");
  assert.equal(result.outcome.fault?.code, "output-missing");
  assert.match(result.outcome.fault.message, /model: nothing was written to out\/model\.csv/);
});

test("an optional output may be missing", async () => {
  await using fixture = await runtimeFixture(new MemoryBackend());
  const result = await run(fixture.context, fixture.work({ outputs: { model: output({ optional: true }) } }));
  assert.equal(result.outcome.state, "succeeded");
  assert.deepEqual(result.outputs, {});
});

test("after a failure only the outputs declared `when: always` are taken, and their absence is no fault", async () => {
  await using fixture = await runtimeFixture(new MemoryBackend());
  fixture.backend.script("train", exits(3, { outputs: { "model.csv": "x", "log.txt": "why" } }));
  const outputs = {
    model: output(),
    log: output({ path: "log.txt", when: "always" }),
    plot: output({ path: "plot.png", when: "always" }),
  };
  const result = await run(fixture.context, fixture.work({ outputs }));
  assert.equal(result.outcome.fault?.code, "exit-nonzero");
  assert.deepEqual(Object.keys(result.outputs), ["log"]);
  assert.deepEqual(result.outcome.warnings, []);
});

test("when one output is missing, those declared `when: always` are kept all the same", async () => {
  await using fixture = await runtimeFixture(new MemoryBackend());
  fixture.backend.script("train", exits(0, { outputs: { "log.txt": "why", "other.txt": "x" } }));
  const outputs = {
    model: output(),
    other: output({ path: "other.txt" }),
    log: output({ path: "log.txt", when: "always" }),
  };
  const result = await run(fixture.context, fixture.work({ outputs }));
  assert.equal(result.outcome.fault?.code, "output-missing");
  assert.deepEqual(Object.keys(result.outputs), ["log"]);
});

test("exit 65 is a business fault", async () => {
  await using fixture = await runtimeFixture(new MemoryBackend());
  fixture.backend.script("train", exits(65));
  assert.equal((await run(fixture.context, fixture.work())).outcome.fault?.code, "business");
});

for (const exit of [0, 1]) {
  test(`error.json of type business makes exit ${exit} a business fault with the step's own message`, async () => {
    await using fixture = await runtimeFixture(new MemoryBackend());
    fixture.backend.script("train", (step) => {
      writeFileSync(join(step.spec.folder, "error.json"), '{"type":"business","message":"row 7 has no price"}');
      return { exit };
    });
    const { outcome } = await run(fixture.context, fixture.work());
    assert.equal(outcome.state, "failed");
    assert.equal(outcome.fault?.class, "business");
    assert.equal(outcome.fault?.message, "row 7 has no price");
  });
}

const UNUSABLE: Record<string, (path: string) => void> = {
  "not JSON": (path) => writeFileSync(path, "oops"),
  "of another shape": (path) => writeFileSync(path, '{"type":"fatal","message":7}'),
  "too large": (path) => writeFileSync(path, `{"type":"business","message":"${"x".repeat(70_000)}"}`),
  "a link to a file of the host": (path) => {
    writeFileSync(`${path}.target`, '{"type":"business","message":"secret of the host"}');
    symlinkSync(`${path}.target`, path);
  },
  "a folder": (path) => mkdirSync(path),
};
for (const [what, make] of Object.entries(UNUSABLE)) {
  test(`an error.json that is ${what} is a warning, and the exit code decides`, async () => {
    await using fixture = await runtimeFixture(new MemoryBackend());
    fixture.backend.script("train", (step) => {
      make(join(step.spec.folder, "error.json"));
      return { exit: 1 };
    });
    const { outcome } = await run(fixture.context, fixture.work());
    assert.equal(outcome.fault?.code, "exit-nonzero");
    assert.match(outcome.warnings.join(), /error\.json was ignored/);
    assert.doesNotMatch(JSON.stringify(outcome), /secret/);
  });
}

test("inputs lie under in/<name> as the file itself, whatever its producer called it", async () => {
  await using fixture = await runtimeFixture(new MemoryBackend());
  const content = await fixture.store("1,2\n");
  fixture.backend.script("train", (step) => ({
    exit: readFileSync(join(step.spec.folder, "in", "table"), "utf8") === "1,2\n" ? 0 : 9,
  }));
  const result = await run(fixture.context, fixture.work({ inputs: [{ kind: "content", name: "table", content }] }));
  assert.equal(result.outcome.exitCode, 0);
});

test("an input that cannot be fetched is an infrastructure fault, and nothing is submitted", async () => {
  await using fixture = await runtimeFixture(new MemoryBackend(), {
    fetchBlob: () => {
      throw Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
    },
  });
  const content = { ...(await fixture.store("x")), digest: "0".repeat(64) };
  const result = await run(fixture.context, fixture.work({ inputs: [{ kind: "content", name: "table", content }] }));
  assert.equal(result.outcome.state, "failed");
  assert.equal(result.outcome.fault?.code, "stage-io");
  assert.equal(result.handle, null);
  assert.equal(fixture.backend.calls.filter(({ method }) => method === "submit").length, 0);
});

test("cancelling stops the step and reports it cancelled", async () => {
  await using fixture = await runtimeFixture(new MemoryBackend());
  fixture.backend.script("train", hangs());
  const stop = new AbortController();
  const result = run(fixture.context, fixture.work(), stop.signal);
  await fixture.backend.started("train");
  stop.abort({ kind: "cancel", reason: "user", fault: null });
  assert.equal((await result).outcome.state, "cancelled");
});

test("of a step that is cancelled the outputs declared `when: always` are kept, unless its lease is lost", async () => {
  for (const [reason, kept] of [
    ["user", ["log"]],
    ["fenced", []],
  ] as const) {
    await using fixture = await runtimeFixture(new MemoryBackend());
    fixture.backend.script("train", hangs());
    const stop = new AbortController();
    const outputs = { model: output(), log: output({ path: "log.txt", when: "always" }) };
    const work = fixture.work({ outputs });
    const running = Promise.withResolvers<void>();
    const hooks = { onPhase: () => {}, onSubmitted: () => running.resolve() };
    const result = runAttempt(fixture.context, work, hooks, stop.signal);
    await running.promise;
    for (const name of ["log.txt", "model.csv"]) writeFileSync(join(work.spec.folder, "out", name), "so far");
    stop.abort({ kind: "cancel", reason, fault: null });
    const { outcome, outputs: collected } = await result;
    assert.equal(outcome.state, "cancelled");
    assert.deepEqual(Object.keys(collected), kept);
  }
});

test("cancelling before the submit starts nothing, and gives back what was prepared", async () => {
  await using fixture = await runtimeFixture(new MemoryBackend());
  await prepareAttempt(fixture.context, fixture.work());
  const result = await run(
    fixture.context,
    fixture.work(),
    AbortSignal.abort({ kind: "cancel", reason: "user", fault: null }),
  );
  assert.equal(result.outcome.state, "cancelled");
  assert.ok(result.handle !== null);
  assert.equal(fixture.backend.attempt("train").starts, 0);
  await fixture.context.session.release(result.handle);
  fixture.backend.assertNoMisuse();
});

test("detaching leaves the step running, and another process adopts it and reads its true end", async () => {
  await using fixture = await runtimeFixture(new MemoryBackend());
  fixture.backend.script("train", waitsThen(exits(0, { outputs: { "model.csv": "x" } })));
  const stop = new AbortController();
  const work = fixture.work({ outputs: { model: output() } });
  const first = run(fixture.context, work, stop.signal);
  const attempt = await fixture.backend.started("train");
  stop.abort({ kind: "detach" });
  await assert.rejects(first, AttemptDetached);
  fixture.backend.killSessions();

  const second = run(await fixture.reopen(), work);
  attempt.tell();
  const result = await second;
  assert.equal(result.outcome.state, "succeeded");
  assert.equal(attempt.starts, 1);
  assert.deepEqual(Object.keys(result.outputs), ["model"]);
});

test("the time that a step ran is told from its start, not from when another process took it over", async (t) => {
  await using fixture = await runtimeFixture(new MemoryBackend());
  fixture.backend.script("train", waitsThen(exits(0)));
  const stop = new AbortController();
  const work = fixture.work();
  const first = run(fixture.context, work, stop.signal);
  const attempt = await fixture.backend.started("train");
  stop.abort({ kind: "detach" });
  await assert.rejects(first, AttemptDetached);
  fixture.backend.killSessions();

  const minuteLater = Date.now() + 60_000;
  t.mock.method(Date, "now", () => minuteLater);
  const second = run(await fixture.reopen(), work);
  attempt.tell();
  const { running } = (await second).phases;
  assert.ok(running! >= 59_000 && running! < 120_000, `${running} ms`);
});

test("of a step that an earlier process began, and that is cancelled before anybody looks at it again, the logs are followed", async () => {
  await using fixture = await runtimeFixture(new MemoryBackend());
  fixture.backend.script("train", waitsThen(exits(0)));
  const stop = new AbortController();
  const work = fixture.work();
  const first = run(fixture.context, work, stop.signal);
  const attempt = await fixture.backend.started("train");
  stop.abort({ kind: "detach" });
  await assert.rejects(first, AttemptDetached);
  fixture.backend.killSessions();

  const followed: string[] = [];
  const hooks = { onPhase: () => {}, onSubmitted: ({ name }: { readonly name: string }) => followed.push(name) };
  const cancelled = AbortSignal.abort({ kind: "cancel", reason: "user", fault: null });
  attempt.tell();
  const result = await runAttempt(await fixture.reopen(), work, hooks, cancelled);
  assert.equal(result.outcome.state, "cancelled");
  assert.deepEqual(followed, [result.handle?.name]);
});

test("an attempt that was already collected gives the same result again", async () => {
  await using fixture = await runtimeFixture(new MemoryBackend());
  fixture.backend.script("train", (step) => {
    step.write("model.csv", "x");
    step.write("folder/a.sh", "#!/bin/sh");
    step.write("folder/b.txt", "b");
    return { exit: 0 };
  });
  const outputs = { model: output(), folder: output({ path: "folder", type: "folder" }) };
  const first = await run(fixture.context, fixture.work({ outputs }));
  fixture.backend.killSessions();
  const second = await run(await fixture.reopen(), fixture.work({ outputs }));
  assert.deepEqual(second.outputs, first.outputs);
  assert.deepEqual(second.outcome, first.outcome);
});

test("inputs are not staged again under a step that runs", async () => {
  await using fixture = await runtimeFixture(new MemoryBackend());
  const content = await fixture.store("x");
  const work = fixture.work({ inputs: [{ kind: "content", name: "table", content }] });
  fixture.backend.script("train", waitsThen(exits(0)));
  const stop = new AbortController();
  const first = run(fixture.context, work, stop.signal);
  const attempt = await fixture.backend.started("train");
  stop.abort({ kind: "detach" });
  await assert.rejects(first, AttemptDetached);
  const staged = join(work.spec.folder, "in", "table");
  const { ctimeMs } = lstatSync(staged);
  const second = run(await fixture.reopen(), work);
  attempt.tell();
  assert.equal((await second).outcome.state, "succeeded");
  assert.equal(lstatSync(staged).ctimeMs, ctimeMs);
});

test("what an earlier process staged only in part is staged again", async () => {
  await using fixture = await runtimeFixture(new MemoryBackend());
  const content = await fixture.store("whole");
  const work = fixture.work({ inputs: [{ kind: "content", name: "table", content }] });
  mkdirSync(join(work.spec.folder, "in"), { recursive: true });
  writeFileSync(join(work.spec.folder, "in", "table"), "ha");
  fixture.backend.script("train", (step) => ({
    exit: readFileSync(join(step.spec.folder, "in", "table"), "utf8") === "whole" ? 0 : 9,
  }));
  assert.equal((await run(fixture.context, work)).outcome.exitCode, 0);
});

test("a step that runs for longer than its limit is stopped with the fault deadline-run", async () => {
  await using fixture = await runtimeFixture(new MemoryBackend());
  fixture.backend.script("train", hangs());
  const { outcome } = await run(fixture.context, fixture.work({ timeoutMs: 30 }));
  assert.equal(outcome.state, "failed");
  assert.equal(outcome.fault?.code, "deadline-run");
});

test("a step that ignores TERM is killed after its grace", async () => {
  await using fixture = await runtimeFixture(new MemoryBackend());
  fixture.backend.script("train", ignoresTerm());
  const { outcome } = await run(fixture.context, fixture.work({ timeoutMs: 10, graceMs: 20 }));
  assert.equal(outcome.fault?.code, "deadline-run");
});

test("an agent that takes over grants what is left of the time limit, not all of it again", async () => {
  await using fixture = await runtimeFixture(new MemoryBackend());
  fixture.backend.script("train", hangs());
  const work = fixture.work({ timeoutMs: 60_000 });
  const stop = new AbortController();
  const first = run(fixture.context, work, stop.signal);
  await fixture.backend.started("train");
  stop.abort({ kind: "detach" });
  await assert.rejects(first, AttemptDetached);
  // As if it had been let go 61 s ago.
  const note = join(work.spec.folder, "started-at");
  writeFileSync(note, String(Number(readFileSync(note, "utf8")) - 61));
  assert.equal((await run(await fixture.reopen(), work)).outcome.fault?.code, "deadline-run");
});

test("a platform that does not answer for a moment changes nothing", async () => {
  await using fixture = await runtimeFixture(new MemoryBackend());
  fixture.backend.becomeUnavailable({ calls: 2, methods: ["submit"] });
  fixture.backend.becomeUnavailable({ calls: 1, methods: ["observe"] });
  assert.equal((await run(fixture.context, fixture.work())).outcome.state, "succeeded");
});

test("an object that vanished without a record is lost, never a success", async () => {
  await using fixture = await runtimeFixture(new MemoryBackend());
  fixture.backend.script("train", ends({ vanished: true }, { outputs: { "model.csv": "x" } }));
  const result = await run(fixture.context, fixture.work({ outputs: { model: output() } }));
  assert.equal(result.outcome.state, "lost");
  assert.deepEqual(result.outputs, {});
});

test("a spec that the backend cannot honour fails with its reason and is not tried again", async () => {
  await using fixture = await runtimeFixture(
    new MemoryBackend({ capabilities: { network: { none: false, run: true, allow: false } } }),
  );
  const work = fixture.work();
  const result = await run(fixture.context, { ...work, spec: { ...work.spec, network: "none" } });
  assert.equal(result.outcome.fault?.code, "spec-unsupported");
});

test("500 attempts at once share one subscription", async (t) => {
  await using fixture = await runtimeFixture(new MemoryBackend());
  const watch = t.mock.method(fixture.context.session, "watch");
  const works = Array.from({ length: 500 }, (_, index) => {
    const work = fixture.work();
    const folder = join(fixture.root, `attempt-${index}`);
    return { ...work, ref: { ...work.ref, stepRun: `train[${index}]` }, spec: { ...work.spec, folder } };
  });
  const results = await Promise.all(works.map((work) => run(fixture.context, work)));
  assert.ok(results.every(({ outcome }) => outcome.state === "succeeded"));
  assert.equal(watch.mock.callCount(), 1);
});
