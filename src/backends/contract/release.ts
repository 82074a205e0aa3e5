import assert from "node:assert/strict";
import { setTimeout } from "node:timers/promises";
import { BackendError } from "../execution-backend.ts";
import type { ContractGroup } from "./case.ts";

/** A step that lives on shows itself within this time. */
const QUIET_MS = 400;

/** What is held is known, and goes away when it is released: all of it, and nothing else. */
export const RELEASE: ContractGroup = {
  title: "inventory and release",
  cases: [
    {
      title: "the list holds every attempt with its identity, running or over, for a new session too",
      async run(rig) {
        const running = await rig.start([
          { do: "append", file: "up", text: "x" },
          { do: "await", file: "go" },
        ]);
        await rig.untilOutput(running, "up");
        const ended = await rig.run([{ do: "exit", code: 0 }]);
        for (const session of [rig.session, await rig.anotherSession()]) {
          const owned = await Array.fromAsync(session.list());
          const find = (name: string) => owned.find(({ handle }) => handle.name === name);
          assert.deepEqual(find(running.handle.name)?.handle, running.handle);
          assert.equal(find(running.handle.name)?.running, true);
          assert.deepEqual(find(ended.handle.name)?.handle, ended.handle);
          assert.equal(find(ended.handle.name)?.running, false);
          // By them an agent that was started again knows what is reserved.
          const labels = Object.entries(find(running.handle.name)?.labels ?? {});
          assert.ok(labels.some(([name]) => name === "contract/case"));
          const ageMs = Date.now() - (find(ended.handle.name)?.createdAtMs ?? 0);
          assert.ok(ageMs >= -1_000 && ageMs < 600_000, `created ${ageMs} ms ago`);
        }
        rig.tell(running);
        await rig.end(running.handle);
      },
    },
    {
      title: "a running attempt is not released without force",
      async run(rig) {
        const laid = await rig.start([
          { do: "append", file: "up", text: "x" },
          { do: "await", file: "go" },
        ]);
        await rig.untilOutput(laid, "up");
        await assert.rejects(
          () => rig.session.release(laid.handle),
          (error) => error instanceof BackendError && error.code === "still-running",
        );
        rig.tell(laid);
        assert.equal((await rig.end(laid.handle)).outcome.state, "succeeded");
      },
    },
    {
      title: "with force it is killed and gone when the call returns",
      async run(rig) {
        const laid = await rig.start([
          { do: "ignore-term" },
          { do: "append", file: "up", text: "x" },
          { do: "await", file: "go" },
          { do: "append", file: "survived", text: "x" },
        ]);
        await rig.untilOutput(laid, "up");
        await rig.session.release(laid.handle, { force: true });
        assert.deepEqual(await rig.inventory(), []);
        assert.equal(await rig.session.attach(laid.ref), null);
        rig.tell(laid);
        await setTimeout(QUIET_MS);
        assert.equal(rig.output(laid, "survived"), "");
      },
    },
    {
      title: "releasing twice, from anywhere, or what never was, is fine",
      async run(rig) {
        const { handle, ref } = await rig.run([{ do: "exit", code: 0 }]);
        const another = await rig.anotherSession();
        await rig.session.release(handle);
        await rig.session.release(handle);
        await another.release(handle);
        assert.equal(await rig.session.attach(ref), null);
        assert.equal(await another.attach(ref), null);
        const never = await rig.lay([]);
        await rig.session.release(never.handle);
        assert.deepEqual(await rig.inventory(), []);
      },
    },
    {
      title: "what one attempt releases does not touch another of its scope",
      async run(rig) {
        const staying = await rig.start([
          { do: "append", file: "up", text: "x" },
          { do: "await", file: "go" },
        ]);
        const { handle } = await rig.run([{ do: "exit", code: 0 }]);
        await rig.session.release(handle);
        assert.deepEqual(await rig.inventory(), [staying.handle.name]);
        await rig.untilOutput(staying, "up");
        rig.tell(staying);
        assert.equal((await rig.end(staying.handle)).outcome.state, "succeeded");
      },
    },
    {
      title: "a scope is released twice without harm, and one that never was too",
      async run(rig) {
        const { handle, ref } = await rig.run([{ do: "exit", code: 0 }]);
        await rig.session.release(handle);
        await rig.session.releaseScope(ref.scope);
        await rig.session.releaseScope(ref.scope);
        await rig.session.releaseScope(`${ref.scope}-never`);
      },
    },
  ],
};
