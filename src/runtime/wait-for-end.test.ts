import assert from "node:assert/strict";
import { test } from "node:test";
import { BackendError, type BackendSession, type Handle } from "../backends/execution-backend.ts";
import { MemoryBackend } from "../backends/memory/memory-backend.ts";
import { exits, hangs, waitsThen } from "../backends/memory/script.ts";
import { fault } from "../protocol/faults.ts";
import { makeAttemptFolder } from "./attempt-folder.ts";
import { runAttempt } from "./run-attempt.ts";
import { runtimeFixture } from "./testing/runtime-fixture.ts";
import { EndWaiter } from "./wait-for-end.ts";

const never = new AbortController().signal;
const hooks = { onPhase: () => {} };

/** The session with some of its methods replaced. */
function altered(session: BackendSession, changes: Partial<BackendSession>): BackendSession {
  return new Proxy(session, {
    get(target, name) {
      if (Object.hasOwn(changes, name)) return changes[name as keyof BackendSession];
      const value = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

test("an end that came before anyone waited is not missed", async () => {
  await using fixture = await runtimeFixture(new MemoryBackend());
  const { session } = fixture.context;
  const waiter = new EndWaiter(session);
  using _visit = waiter.enter();
  const work = fixture.work();
  makeAttemptFolder(work.spec.folder);
  const handle = await session.submit(work.ref, work.spec);
  const startedAt = performance.now();
  const end = await waiter.wait(handle, { fresh: true, signal: never });
  assert.equal(end.outcome?.state, "succeeded");
  // By the hint, and not by the poll.
  assert.ok(performance.now() - startedAt < 900);
});

test("without any hint the end is still found by the poll", async () => {
  await using fixture = await runtimeFixture(new MemoryBackend());
  const deaf = altered(fixture.context.session, { watch: () => ({ [Symbol.dispose]: () => {} }) });
  const { outcome } = await runAttempt({ ...fixture.context, session: deaf }, fixture.work(), hooks, never);
  assert.equal(outcome.state, "succeeded");
});

test("ends that are hinted at together are asked about together", async () => {
  const backend = new MemoryBackend({ fallback: waitsThen(exits(0)) });
  await using fixture = await runtimeFixture(backend);
  const { session } = fixture.context;
  const questions: number[] = [];
  const observe = (handles: readonly Handle[]) => {
    questions.push(handles.length);
    return session.observe(handles);
  };
  const waiter = new EndWaiter(altered(session, { observe }));
  using _visit = waiter.enter();
  const works = Array.from({ length: 50 }, (_, index) => ({ ...fixture.work().ref, stepRun: `s${index}` }));
  makeAttemptFolder(fixture.work().spec.folder);
  const handles = await Promise.all(works.map((ref) => session.submit(ref, fixture.work().spec)));
  const ends = handles.map((handle) => waiter.wait(handle, { fresh: true, signal: never }));
  for (const { stepRun } of works) backend.attempt(stepRun).tell();
  for (const end of await Promise.all(ends)) assert.equal(end.outcome?.state, "succeeded");
  assert.ok(questions.length < 10, `asked in ${questions.length} questions`);
});

test("when the platform says that it will never know, the attempt is lost and its outputs are left alone", async () => {
  const backend = new MemoryBackend();
  backend.script("train", hangs());
  await using fixture = await runtimeFixture(backend);
  const why = new BackendError("not-found", fault("vanished", "The container is gone."));
  const observe = async (handles: readonly Handle[]) => new Map(handles.map(({ name }) => [name, why] as const));
  const session = altered(fixture.context.session, { observe });
  const result = await runAttempt({ ...fixture.context, session }, fixture.work(), hooks, never);
  assert.equal(result.outcome.state, "lost");
  assert.equal(result.outcome.fault?.code, "vanished");
  assert.ok(result.handle !== null);
});

test("a platform that cannot stop a step has its result ignored", async () => {
  const backend = new MemoryBackend();
  backend.script("train", hangs());
  await using fixture = await runtimeFixture(backend);
  const session = altered(fixture.context.session, { cancel: async () => "fenced-only" });
  const { outcome } = await runAttempt({ ...fixture.context, session }, fixture.work({ timeoutMs: 10 }), hooks, never);
  assert.equal(outcome.state, "failed");
  assert.equal(outcome.fault?.code, "deadline-run");
});

test("an attempt is not stopped by its time limit before its user code began", async () => {
  const backend = new MemoryBackend();
  backend.script("train", waitsThen(exits(0)));
  await using fixture = await runtimeFixture(backend);
  const { session } = fixture.context;
  let left = 3;
  const observe = async (handles: readonly Handle[]) => {
    if (left-- > 0)
      return new Map(handles.map(({ name }) => [name, { state: "starting", userCode: "never" }] as const));
    backend.attempt("train").tell();
    return session.observe(handles);
  };
  const slow = altered(session, { observe });
  const { outcome } = await runAttempt(
    { ...fixture.context, session: slow },
    fixture.work({ timeoutMs: 20 }),
    hooks,
    never,
  );
  assert.equal(outcome.state, "succeeded");
});
