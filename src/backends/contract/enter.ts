import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import type { Terminal } from "../execution-backend.ts";
import { type ContractGroup, NEEDS } from "./case.ts";
import type { Laid, Rig } from "./rig.ts";

/** A person gets at the place of a step, and leaves nothing there. */
export const ENTER: ContractGroup = {
  title: "entering",
  cases: [
    {
      title: "a session can be entered exactly where its capabilities say so",
      async run(rig) {
        assert.equal(rig.session.enter !== undefined, rig.capabilities.enter);
      },
    },
    {
      title: "what is entered has the environment, folders, working folder and user of a step",
      needs: [NEEDS.programs, NEEDS.enter],
      async run(rig) {
        const script = [
          'env | grep -v -e ^HOSTNAME -e ^_= -e ^SHLVL | sed "s|$BERTH_DIR|FOLDER|g" | sort; id; pwd',
          'cd "$BERTH_DIR" && ls; echo told >&2; cat "$BERTH_IN"/* 2>/dev/null; echo x > "$BERTH_OUT/made"',
        ].join("\n");
        const env = { GREETING: "hello", BERTH_OUT: "/nowhere" };
        const step = await rig.runShell(script, { env, workingFolder: "/usr" });
        const laid = await rig.layShell(script, { env, workingFolder: "/usr" });
        const entered = await enter(rig, laid);
        assert.equal(entered.code, 0, entered.stderr);
        assert.equal(entered.stdout, (await rig.log(step.handle)).toString());
        assert.equal(entered.stderr, "told\n");
        assert.equal(rig.output(laid, "made"), "x\n");
      },
    },
    {
      title: "what is typed reaches the program, and its exit code is told",
      needs: [NEEDS.programs, NEEDS.enter],
      async run(rig) {
        const laid = await rig.layCommand(["sh"]);
        const entered = await enter(rig, laid, 'echo "I am here"; exit 7\n');
        assert.deepEqual([entered.code, entered.stdout], [7, "I am here\n"]);
        const killed = await enter(rig, await rig.layCommand(["sh", "-c", "kill -9 $$"]));
        assert.equal(killed.code, 137);
      },
    },
    {
      title: "when it has ended nothing is left of it, what it had in the background included",
      needs: [NEEDS.programs, NEEDS.enter],
      async run(rig) {
        const laid = await rig.layShell(
          '(while :; do echo tick >> "$BERTH_OUT/ticks"; sleep 0.1; done) & sleep 1; exit 3',
        );
        assert.equal((await enter(rig, laid)).code, 3);
        const ticks = rig.output(laid, "ticks");
        assert.notEqual(ticks, "");
        await new Promise((resolve) => setTimeout(resolve, 500));
        assert.equal(rig.output(laid, "ticks"), ticks, "it ticks no more");
        assert.deepEqual(await rig.inventory(), []);
      },
    },
    {
      title: "an abort ends it",
      needs: [NEEDS.programs, NEEDS.enter],
      async run(rig) {
        const laid = await rig.layShell('echo begun > "$BERTH_OUT/begun"; sleep 600');
        const abort = new AbortController();
        const entered = enter(rig, laid, "", abort.signal);
        await rig.untilOutput(laid, "begun");
        abort.abort();
        assert.equal((await entered).code, 137);
        assert.deepEqual(await rig.inventory(), []);
      },
    },
  ],
};

export async function enter(rig: Rig, { ref, spec }: Laid, typed = "", signal = new AbortController().signal) {
  const stdin = new PassThrough();
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const terminal: Terminal = {
    ...{ isInteractive: false, stdin, stdout, stderr },
    size: () => null,
    onResize: () => ({ [Symbol.dispose]() {} }),
    raw: () => ({ [Symbol.dispose]() {} }),
  };
  stdin.end(typed);
  const said = Promise.all([text(stdout), text(stderr)]);
  const code = await rig.session.enter!(ref, spec, terminal, signal);
  stdout.end();
  stderr.end();
  const [out, err] = await said;
  return { code, stdout: out, stderr: err };
}
