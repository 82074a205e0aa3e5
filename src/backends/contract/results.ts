import assert from "node:assert/strict";
import { type ContractGroup, NEEDS } from "./case.ts";

/** Grows the shell itself, so that it is the main process that the limit meets. */
const EAT_200_MB = "eaten=$(head -c 200000000 /dev/zero | tr '\\0' x)";
const MEMORY_LIMIT = { cpus: null, memoryBytes: 64 * 1024 * 1024, pids: 256 };

/** How an attempt ended: exact, sticky, and success only on positive evidence. */
export const RESULTS: ContractGroup = {
  title: "results",
  cases: [
    {
      title: "exit codes 0, 1, 42 and 255 are told exactly",
      async run(rig) {
        const codes = [0, 1, 42, 255];
        const ends = await Promise.all(codes.map((code) => rig.run([{ do: "exit", code }])));
        const told = ends.map(({ outcome }) => outcome.exitCode);
        assert.deepEqual(told, codes);
        const states = ends.map(({ outcome }) => `${outcome.state} ${outcome.fault?.code}`);
        assert.deepEqual(states, ["succeeded undefined", ...Array(3).fill("failed exit-nonzero")]);
        assert.ok(ends.every(({ observation }) => observation.userCode === "started"));
      },
    },
    {
      title: "a step that kills itself was killed by a signal, not by the memory limit",
      needs: [NEEDS.programs],
      async run(rig) {
        const { outcome } = await rig.runShell("kill -KILL $$");
        assert.equal(outcome.state, "failed");
        assert.equal(outcome.signal, "SIGKILL");
        assert.equal(outcome.exitCode, null);
        assert.equal(outcome.fault?.code, "killed-by-signal");
      },
    },
    {
      title: "a command that does not exist never starts, says so, and leaves nothing",
      async run(rig) {
        for (const command of ["berth-no-such-command", "/berth/no/such/command"]) {
          const laid = await rig.layCommand([command, "argument"]);
          const { outcome, observation } = await rig.runLaid(laid);
          assert.equal(outcome.state, "failed");
          assert.equal(outcome.fault?.code, "bad-entrypoint");
          assert.equal(observation.userCode, "never");
          await rig.session.release(laid.handle);
        }
        assert.deepEqual(await rig.inventory(), []);
      },
    },
    {
      title: "a main process killed by the memory limit is out of memory",
      needs: [NEEDS.programs, NEEDS.memoryLimit],
      async run(rig) {
        const { outcome } = await rig.runShell(`${EAT_200_MB}; echo survived`, { limits: MEMORY_LIMIT });
        assert.equal(outcome.state, "failed");
        assert.equal(outcome.fault?.code, "oom");
      },
    },
    {
      title: "a child killed by the memory limit under an exit code of 0 is a success with a warning",
      needs: [NEEDS.programs, NEEDS.memoryLimit],
      async run(rig) {
        const script = `sh -c "${EAT_200_MB.replaceAll("$", "\\$")}"; echo main goes on; exit 0`;
        const { outcome, handle } = await rig.runShell(script, { limits: MEMORY_LIMIT });
        assert.equal(outcome.state, "succeeded");
        assert.ok(outcome.warnings.length > 0, "the warning tells of the killed child");
        assert.match((await rig.log(handle)).toString(), /main goes on/);
      },
    },
    {
      title: "a kill by Berth is a cancellation, not running out of memory",
      needs: [NEEDS.killsTree],
      async run(rig) {
        const laid = await rig.start([{ do: "ignore-term" }, { do: "append", file: "up", text: "x" }, { do: "hang" }]);
        await rig.untilOutput(laid, "up");
        await rig.cancel(laid, 0);
        const { outcome } = await rig.end(laid.handle);
        assert.equal(outcome.state, "cancelled");
        assert.equal(outcome.fault?.code, "cancelled");
        assert.equal(outcome.signal, "SIGKILL");
      },
    },
    {
      title: "an attempt that is stopped at its deadline has failed by its deadline",
      needs: [NEEDS.killsTree],
      async run(rig) {
        const laid = await rig.start([{ do: "append", file: "up", text: "x" }, { do: "hang" }]);
        await rig.untilOutput(laid, "up");
        await rig.cancel(laid, 1000, "deadline-run");
        const { outcome } = await rig.end(laid.handle);
        assert.equal(outcome.state, "failed");
        assert.equal(outcome.fault?.code, "deadline-run");
      },
    },
    {
      title: "many instant exits each have their code and their whole log",
      async run(rig) {
        const total = rig.harness.effort.instantExits;
        const numbers = Array.from({ length: total }, (_, index) => index);
        const lane = async (): Promise<void> => {
          for (let number = numbers.pop(); number !== undefined; number = numbers.pop()) {
            const code = number % 2;
            const text = `line of ${number}`;
            const { outcome, handle } = await rig.run([
              { do: "print", text },
              { do: "exit", code },
            ]);
            assert.equal(outcome.exitCode, code);
            assert.equal((await rig.log(handle)).toString(), text);
            await rig.session.release(handle);
          }
        };
        await Promise.all([lane(), lane(), lane()]);
      },
    },
    {
      title: "an object that is deleted while it runs is lost, never a success",
      async run(rig) {
        const laid = await rig.start([{ do: "append", file: "up", text: "x" }, { do: "hang" }]);
        await rig.untilOutput(laid, "up");
        await rig.harness.destroyObject(laid.handle);
        const { outcome } = await rig.end(laid.handle);
        assert.equal(outcome.state, "lost");
        assert.equal(outcome.exitCode, null);
        const elsewhere = await rig.end(laid.handle, await rig.anotherSession());
        assert.equal(elsewhere.outcome.state, "lost");
      },
    },
    {
      title: "an object that is deleted after its end still has its true outcome, for a new session too",
      needs: [NEEDS.lastingRecord],
      async run(rig) {
        const codes = [0, 7];
        for (const code of codes) {
          const { handle } = await rig.run([{ do: "exit", code }]);
          await rig.harness.destroyObject(handle);
          for (const session of [rig.session, await rig.anotherSession()]) {
            const { outcome } = await rig.end(handle, session);
            assert.equal(outcome.exitCode, code);
            assert.equal(outcome.state, code === 0 ? "succeeded" : "failed");
          }
        }
      },
    },
    {
      title: "an attempt that was never submitted is no success",
      async run(rig) {
        const laid = await rig.lay([{ do: "exit", code: 0 }]);
        const seen = (await rig.session.observe([laid.handle]).catch(() => null))?.get(laid.handle.name);
        // A strict backend calls the question a mistake; then it answers nothing.
        if (seen === undefined || seen instanceof Error) return;
        assert.notEqual(seen.outcome?.state, "succeeded");
        assert.notEqual(seen.userCode, "started");
      },
    },
    {
      title: "one call tells about many attempts, and an end stays what it was",
      async run(rig) {
        const ended = await rig.run([{ do: "exit", code: 3 }]);
        const running = await rig.start([
          { do: "append", file: "up", text: "x" },
          { do: "await", file: "go" },
        ]);
        await rig.untilOutput(running, "up");
        const handles = [ended.handle, running.handle];
        const first = await rig.session.observe(handles);
        assert.deepEqual([...first.keys()].sort(), handles.map(({ name }) => name).sort());
        await rig.untilRunning(running.handle);
        rig.tell(running);
        await rig.end(running.handle);
        const second = await rig.session.observe(handles);
        const third = await (await rig.anotherSession()).observe(handles);
        assert.deepEqual(second.get(ended.handle.name), first.get(ended.handle.name));
        assert.deepEqual(third, second);
      },
    },
    {
      title: "the end is hinted at",
      async run(rig) {
        const laid = await rig.start([
          { do: "await", file: "go" },
          { do: "exit", code: 0 },
        ]);
        const hinted = Promise.withResolvers<void>();
        using _watch = rig.session.watch((name) => name === laid.handle.name && hinted.resolve());
        rig.tell(laid);
        await rig.end(laid.handle);
        await hinted.promise;
      },
    },
    {
      title: "CPU time and memory are measured while the step runs, and are in its outcome",
      needs: [NEEDS.programs, NEEDS.stats],
      async run(rig) {
        const busy = 'i=0; while [ ! -e "$BERTH_OUT"/go ]; do i=$((i+1)); done';
        const laid = await rig.layShell(busy);
        await rig.submit(laid);
        const stats = async () => (await rig.session.stats([laid.handle])).get(laid.handle.name);
        await rig.until("100 ms of CPU time", stats, (use) => (use?.cpuMs ?? 0) >= 100);
        assert.ok(((await stats())?.memoryBytes ?? 0) > 0);
        rig.tell(laid);
        const { outcome } = await rig.end(laid.handle);
        assert.ok((outcome.stats.cpuMs ?? 0) >= 100, `CPU time in the outcome: ${outcome.stats.cpuMs}`);
        assert.equal((await rig.session.stats([laid.handle])).size, 0, "attempts that are gone are left out");
      },
    },
  ],
};
