import assert from "node:assert/strict";
import { setTimeout } from "node:timers/promises";
import { BackendError } from "../execution-backend.ts";
import { type ContractGroup, NEEDS } from "./case.ts";
import type { Laid, Rig } from "./rig.ts";

const GRACE_MS = 700;
/** How late a kill may be noticed on a busy machine. */
const KILL_SLACK_MS = 8_000;
/** Processes that live on show themselves within this time. */
const QUIET_MS = 400;

/** Cancelling stops the whole tree, is an explicit fact, and has one outcome. */
export const CANCEL: ContractGroup = {
  title: "cancel",
  cases: [
    {
      title: "an attempt that was cancelled before its submit never runs user code",
      async run(rig) {
        const laid = await rig.lay([{ do: "append", file: "runs", text: "x" }]);
        assert.equal(await rig.cancel(laid, GRACE_MS), "requested");
        await assertStartsNothing(rig, laid);
      },
    },
    {
      title: "a prepared attempt that was cancelled never runs user code",
      needs: [NEEDS.prepareAhead],
      async run(rig) {
        const laid = await rig.lay([{ do: "append", file: "runs", text: "x" }]);
        await rig.session.prepare(laid.ref, laid.spec);
        assert.equal(await rig.cancel(laid, GRACE_MS), "requested");
        await assertStartsNothing(rig, laid);
      },
    },
    {
      title: "the last line of a TERM handler is kept",
      needs: [NEEDS.killsTree],
      async run(rig) {
        const laid = await rig.start([
          { do: "on-term", print: "last words\n", exit: 0 },
          { do: "print", text: "first words\n" },
          { do: "append", file: "up", text: "x" },
          { do: "hang" },
        ]);
        await rig.untilOutput(laid, "up");
        assert.equal(await rig.cancel(laid, 20_000), "requested");
        const { outcome } = await rig.end(laid.handle);
        assert.equal(outcome.state, "cancelled", "an exit code of 0 out of a TERM handler is no success");
        assert.equal((await rig.log(laid.handle)).toString(), "first words\nlast words\n");
      },
    },
    {
      title: "a step that ignores TERM is killed after the grace, and not before",
      needs: [NEEDS.killsTree],
      async run(rig) {
        const laid = await rig.start([{ do: "ignore-term" }, { do: "append", file: "up", text: "x" }, { do: "hang" }]);
        await rig.untilOutput(laid, "up");
        const startedAtMs = performance.now();
        await rig.cancel(laid, GRACE_MS);
        const { outcome } = await rig.end(laid.handle);
        const tookMs = performance.now() - startedAtMs;
        assert.equal(outcome.signal, "SIGKILL");
        assert.ok(tookMs > GRACE_MS - 50, `killed after ${tookMs} ms, before the grace was over`);
        assert.ok(tookMs < GRACE_MS + KILL_SLACK_MS, `killed only after ${tookMs} ms`);
      },
    },
    {
      title: "grandchildren die with the step, in sessions of their own too",
      needs: [NEEDS.killsTree, NEEDS.programs],
      async run(rig) {
        const beat = 'while :; do printf x >> "$BERTH_OUT"/beat; sleep 0.05; done';
        const laid = await rig.layShell(
          `trap '' TERM; setsid sh -c '${beat}' & (sh -c '${beat}' &); echo x > "$BERTH_OUT"/up; while :; do sleep 1; done`,
        );
        await rig.submit(laid);
        await rig.untilOutput(laid, "beat");
        await rig.cancel(laid, 0);
        await rig.end(laid.handle);
        await assertQuiet(rig, laid, "beat");
      },
    },
    {
      title: "background processes that a step leaves behind die with it",
      needs: [NEEDS.killsTree, NEEDS.programs],
      async run(rig) {
        const beat = 'while :; do printf x >> "$BERTH_OUT"/beat; sleep 0.05; done';
        const laid = await rig.layShell(
          `setsid sh -c '${beat}' & while [ ! -e "$BERTH_OUT"/beat ]; do sleep 0.05; done`,
        );
        const { outcome } = await rig.runLaid(laid);
        assert.equal(outcome.state, "succeeded");
        await assertQuiet(rig, laid, "beat");
      },
    },
    {
      title: "cancelling twice, from another session, and after the end, changes nothing",
      needs: [NEEDS.killsTree],
      async run(rig) {
        const laid = await rig.start([{ do: "append", file: "up", text: "x" }, { do: "hang" }]);
        await rig.untilOutput(laid, "up");
        const another = await rig.anotherSession();
        const options = { graceMs: 5_000, reason: "user" } as const;
        assert.equal(await another.cancel(laid.handle, options), "requested");
        await rig.session.cancel(laid.handle, { ...options, reason: "fenced" });
        const { observation } = await rig.end(laid.handle);
        assert.equal(observation.outcome?.state, "cancelled");
        assert.equal(await rig.session.cancel(laid.handle, { ...options, reason: "deadline-run" }), "already-terminal");
        assert.equal(await another.cancel(laid.handle, options), "already-terminal");
        assert.deepEqual(await rig.see(laid.handle), observation);
        assert.deepEqual(await rig.see(laid.handle, another), observation);
      },
    },
    {
      title: "cancelling after a success leaves the success",
      async run(rig) {
        const { handle, observation } = await rig.run([{ do: "exit", code: 0 }]);
        assert.equal(await rig.session.cancel(handle, { graceMs: 0, reason: "user" }), "already-terminal");
        assert.deepEqual(await rig.see(handle), observation);
        assert.deepEqual(await rig.see(handle, await rig.anotherSession()), observation);
      },
    },
    {
      title: "a cancel that races with the exit has one outcome, the same for everybody",
      needs: [NEEDS.killsTree],
      async run(rig) {
        const another = await rig.anotherSession();
        const states = new Set<string>();
        for (let race = 0; race < rig.harness.effort.races; race++) {
          const laid = await rig.start([{ do: "await", file: "go" }]);
          rig.tell(laid);
          // From right away, through each instant of the start, to about when it ends: the step looks every 50 ms.
          const delayMs = race % 2 === 0 ? race % 7 : (race % 10) * 7;
          await setTimeout(delayMs);
          const answer = await another.cancel(laid.handle, { graceMs: 2_000, reason: "user" });
          const { observation, outcome } = await rig.end(laid.handle);
          if (answer === "already-terminal") assert.equal(outcome.state, "succeeded");
          else assert.ok(["succeeded", "cancelled"].includes(outcome.state), JSON.stringify(outcome));
          assert.deepEqual(await rig.see(laid.handle, await rig.anotherSession()), observation);
          await rig.session.release(laid.handle);
          states.add(outcome.state);
        }
        assert.ok(states.size > 0);
      },
    },
  ],
};

/** Submits a cancelled attempt: refused, or taken as one that is over; either way nothing runs. */
async function assertStartsNothing(rig: Rig, laid: Laid): Promise<void> {
  try {
    await rig.submit(laid);
  } catch (error) {
    assert.ok(error instanceof BackendError && error.code === "cancelled", String(error));
    assert.equal(rig.output(laid, "runs"), "");
    return;
  }
  const { observation, outcome } = await rig.end(laid.handle);
  assert.equal(outcome.state, "cancelled");
  assert.equal(observation.userCode, "never");
  assert.equal(rig.output(laid, "runs"), "");
}

/** Nothing more is written to a file that a process wrote to all the time. */
async function assertQuiet(rig: Rig, laid: Laid, file: string): Promise<void> {
  const before = rig.output(laid, file).length;
  await setTimeout(QUIET_MS);
  assert.equal(rig.output(laid, file).length, before, "a process of the step lives on");
}
