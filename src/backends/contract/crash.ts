import assert from "node:assert/strict";
import type { AttemptSpec } from "../execution-backend.ts";
import { BackendError } from "../execution-backend.ts";
import { type ContractGroup, NEEDS } from "./case.ts";
import type { Program } from "./program.ts";
import type { Laid, Rig } from "./rig.ts";
import { KILL_POINTS, runUntilKilled } from "./second-process.ts";

/** Notes that it ran, says so, waits for the word, and succeeds. */
const COUNTED: Program = [
  { do: "append", file: "runs", text: "x" },
  { do: "print", text: "counted\n" },
  { do: "await", file: "go" },
];

/** Whatever dies and is done twice: user code runs once, and its true end is found. */
export const CRASH: ContractGroup = {
  title: "crashes and repetition",
  cases: [
    ...KILL_POINTS.map((point) => ({
      title: `an agent killed when it had ${point.said} loses nothing: user code runs exactly once`,
      needs: [NEEDS.otherProcesses],
      async run(rig: Rig) {
        const laid = await rig.lay(COUNTED);
        if (point.name === "ended") rig.tell(laid);
        await runUntilKilled(rig.harness.elsewhere!, { ref: laid.ref, spec: laid.spec, point: point.name });
        // What a new agent does with an intent that it finds in its journal.
        await rig.submit(laid);
        rig.tell(laid);
        await assertRanOnce(rig, laid);
      },
    })),
    {
      title: "closing a session detaches: the attempt goes on, and its exit code is read by another",
      async run(rig) {
        const session = await rig.harness.open();
        const laid = await rig.lay([...COUNTED, { do: "exit", code: 42 }]);
        await rig.submit(laid, session);
        await rig.untilOutput(laid, "runs");
        await session[Symbol.asyncDispose]();
        const found = await rig.session.attach(laid.ref);
        assert.deepEqual(found, laid.handle);
        await rig.untilRunning(laid.handle);
        rig.tell(laid);
        assert.equal((await rig.end(laid.handle)).outcome.exitCode, 42);
      },
    },
    {
      title: "submits at the same time, from two sessions, start user code once",
      async run(rig) {
        const another = await rig.anotherSession();
        for (let round = 0; round < 5; round++) {
          const laid = await rig.lay(COUNTED);
          const sessions = [rig.session, another, rig.session, another];
          const handles = await Promise.all(sessions.map((session) => rig.submit(laid, session)));
          for (const handle of handles) assert.deepEqual(handle, laid.handle);
          rig.tell(laid);
          await assertRanOnce(rig, laid);
        }
      },
    },
    {
      title: "submitting another spec for the same attempt is a conflict, and harms nothing",
      async run(rig) {
        const laid = await rig.start(COUNTED);
        await rig.untilOutput(laid, "runs");
        const changes: Partial<AttemptSpec>[] = [
          { env: { CHANGED: "yes" } },
          { argv: [...laid.spec.argv, "more"] },
          { limits: { ...laid.spec.limits, pids: 99 } },
        ];
        for (const session of [rig.session, await rig.anotherSession()]) {
          for (const change of changes) {
            await assertConflict(() => session.submit(laid.ref, { ...laid.spec, ...change }));
          }
        }
        rig.tell(laid);
        await assertRanOnce(rig, laid);
        await assertConflict(() => rig.session.submit(laid.ref, { ...laid.spec, env: { CHANGED: "late" } }));
      },
    },
    {
      title: "submitting again after the end, from anywhere, adopts the end and runs nothing",
      async run(rig) {
        const laid = await rig.run([
          { do: "append", file: "runs", text: "x" },
          { do: "exit", code: 9 },
        ]);
        for (const session of [rig.session, await rig.anotherSession()]) {
          assert.deepEqual(await rig.submit(laid, session), laid.handle);
          assert.deepEqual(await rig.see(laid.handle, session), laid.observation);
        }
        assert.equal(rig.output(laid, "runs"), "x");
      },
    },
    {
      title: "the order of a spec's variables means nothing",
      async run(rig) {
        const laid = await rig.lay(COUNTED, { env: { A: "1", B: "2" } });
        await rig.submit(laid);
        await (await rig.anotherSession()).submit(laid.ref, { ...laid.spec, env: { B: "2", A: "1" } });
        rig.tell(laid);
        await assertRanOnce(rig, laid);
      },
    },
    {
      title: "preparing never runs user code; inputs may still come, and submit goes on from there",
      async run(rig) {
        const laid = await rig.lay(COUNTED);
        await rig.session.prepare(laid.ref, laid.spec);
        await rig.session.prepare(laid.ref, laid.spec);
        if (rig.capabilities.prepareAhead) {
          const held = await rig.until(
            "the held object",
            () => rig.see(laid.handle),
            ({ state }) => state === "held",
          );
          assert.equal(held.userCode, "never");
        }
        assert.equal(rig.output(laid, "runs"), "");
        await rig.submit(laid, await rig.anotherSession());
        rig.tell(laid);
        await assertRanOnce(rig, laid);
      },
    },
    {
      title: "a prepared attempt that will not run is released like any other",
      needs: [NEEDS.prepareAhead],
      async run(rig) {
        const laid = await rig.lay([{ do: "append", file: "runs", text: "x" }]);
        await rig.session.prepare(laid.ref, laid.spec);
        await rig.session.release(laid.handle);
        assert.deepEqual(await rig.inventory(), []);
        assert.equal(rig.output(laid, "runs"), "");
      },
    },
    {
      title: "an attempt that does not exist is not found, which is no error",
      async run(rig) {
        const { ref } = await rig.lay([]);
        assert.equal(await rig.session.attach(ref), null);
      },
    },
    {
      title: "a platform that does not answer is an error: neither not found, nor lost, nor an empty list",
      async run(rig) {
        const laid = await rig.lay(COUNTED);
        const session = await rig.harness.unreachable();
        if (session === null) return;
        await assertUnavailable(() => session.attach(laid.ref));
        await assertUnavailable(() => session.submit(laid.ref, laid.spec));
        await assertUnavailable(() => Array.fromAsync(session.list()));
        await assertUnavailable(async () => {
          const seen = (await session.observe([laid.handle])).get(laid.handle.name);
          if (seen instanceof Error) throw seen;
        });
        assert.equal((await session.probe()).healthy, false);
        await session[Symbol.asyncDispose]();
      },
    },
  ],
};

async function assertRanOnce(rig: Rig, laid: Laid): Promise<void> {
  const { outcome } = await rig.end(laid.handle);
  assert.equal(outcome.state, "succeeded", JSON.stringify(outcome));
  assert.equal(rig.output(laid, "runs"), "x", "user code ran exactly once");
}

async function assertConflict(act: () => Promise<unknown>): Promise<void> {
  await assert.rejects(act, (error) => error instanceof BackendError && error.code === "spec-conflict");
}

async function assertUnavailable(act: () => Promise<unknown>): Promise<void> {
  await assert.rejects(act, (error) => error instanceof BackendError && error.retryable);
}
