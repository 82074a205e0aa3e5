import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ScenarioPlatform, until } from "./platform.ts";

/** Lines that steps wrote outside of Berth: what really was at work, and when. */
function linesOf(ledger: string): string[] {
  return existsSync(ledger) ? readFileSync(ledger, "utf8").trim().split("\n") : [];
}

test("runs of a group work one at a time, say what they wait for, make room for a newer one, or are refused: also when the server is killed", async () => {
  await using platform = new ScenarioPlatform();
  const ledger = join(platform.folder, "ledger");
  const go = join(platform.folder, "go");
  const deploy = (name: string, policy: string) =>
    platform.write(`${name}.yaml`, {
      name,
      params: { target: "prod" },
      concurrency: { group: "to ${{ params.target }}", policy },
      environment: { image: "none" },
      steps: {
        deploy: {
          run: `echo "begin \${{ params.target }} $BERTH_PIPELINE\${{ run.number }}" >> ${ledger}
                while [ ! -e ${go} ]; do sleep 0.1; done
                echo "end \${{ params.target }} $BERTH_PIPELINE\${{ run.number }}" >> ${ledger}`,
        },
      },
    });
  const queueing = deploy("queueing", "queue");
  const cancelling = deploy("cancelling", "cancel_older");
  const refusing = deploy("refusing", "refuse");
  const submit = async (file: string, ...args: string[]) => {
    const ended = await platform.berth("run", file, "--backend", "process", "--detach", ...args);
    assert.equal(ended.code, 0, ended.stderr);
  };
  const stateOf = async (run: string) => {
    const { stdout } = await platform.berth("run", "show", run, "--json");
    return (JSON.parse(stdout) as { run: { state: string } }).run.state;
  };
  const hasBegun = (line: string) =>
    until(
      `${line} is in the ledger`,
      () => linesOf(ledger).includes(line),
      () => linesOf(ledger).join("\n"),
    );

  await submit(queueing);
  await submit(queueing);
  await submit(queueing, "--param", "target=test");
  await hasBegun("begin prod queueing1");
  await hasBegun("begin test queueing3");
  const waiting = (await platform.berth("run", "show", "queueing#2")).stdout;
  assert.match(waiting, /group to prod, 1 at a time/);
  assert.match(waiting, /waiting: The group "to prod" has 1 place: queueing#1 holds a place\./);
  assert.match((await platform.berth("runs")).stdout, /queueing#2 +queued, held back/);

  const refused = await platform.berth("run", refusing, "--backend", "process");
  assert.equal(refused.code, 75);
  assert.match(refused.stderr, /The group "to prod" is busy: its places are held by queueing#1\./);

  // The place is passed on by the agent's report of the end, whenever a server is there to take it.
  process.kill(platform.pidOf("server"), "SIGKILL");
  writeFileSync(go, "");
  await hasBegun("end prod queueing2");
  const prod = linesOf(ledger).filter((line) => line.includes(" prod "));
  assert.deepEqual(prod, ["begin prod queueing1", "end prod queueing1", "begin prod queueing2", "end prod queueing2"]);

  const older = platform.write("older.yaml", {
    name: "older",
    concurrency: "to prod",
    environment: { image: "none" },
    steps: { wait: { run: `echo "begin older" >> ${ledger}; sleep 600` } },
  });
  await submit(older);
  await hasBegun("begin older");
  await submit(older);
  const newest = await platform.berth("run", cancelling, "--backend", "process");
  assert.equal(newest.code, 0, `${newest.stdout}\n${newest.stderr}`);
  assert.match(newest.stdout, /run held back: the group to prod has 1 place, and none is free\n/);
  assert.match(newest.stdout, /run has its place in the group to prod\n/);
  assert.deepEqual([await stateOf("older#1"), await stateOf("older#2")], ["cancelled", "cancelled"]);
  const why = (await platform.berth("run", "show", "older#1")).stdout;
  assert.match(why, /cancelled by the newer run cancelling#1: it takes the place in the group "to prod"/);
});
