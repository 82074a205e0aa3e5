import assert from "node:assert/strict";
import { after, test } from "node:test";
import { ScenarioPlatform } from "./platform.ts";

/** Where runs go, and what people are told about those that go nowhere. */

const platform = new ScenarioPlatform();
after(() => platform[Symbol.asyncDispose]());

function pipeline(name: string, resources: object): string {
  const steps = { work: { run: 'echo done > "$BERTH_OUT/out.txt"', outputs: { out: "out.txt" }, resources } };
  return platform.write(`${name}.yaml`, { name, environment: { image: "none" }, steps });
}

test("a run that asks whether it is possible is taken by the worker of a platform that is only just starting", async () => {
  const file = pipeline("small", { disk: "1MiB" });
  const { code, stderr } = await platform.berth("run", file, "--backend", "process", "--fail-if-impossible");
  assert.equal(code, 0, stderr);
});

test("a run for which no worker is large enough is refused with the figures when that is asked for, and leaves nothing", async () => {
  const file = pipeline("huge", { memory: "900TiB" });
  const refused = await platform.berth("run", file, "--backend", "process", "--fail-if-impossible");
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /error: No registered worker could ever take this run\./);
  assert.match(refused.stderr, /local: has \d+\.\d GiB of memory, and 921600\.0 GiB are needed/);
  const { stdout } = await platform.berth("runs", "--json");
  assert.deepEqual(
    JSON.parse(stdout).map(({ pipeline: name }: { pipeline: string }) => name),
    ["small"],
  );
});

test("else it is submitted, and flagged as impossible at once and whenever it is looked at", async () => {
  const file = pipeline("huge", { memory: "900TiB" });
  const submitted = await platform.berth("run", file, "--backend", "process", "--detach");
  assert.equal(submitted.code, 0, submitted.stderr);
  assert.match(
    submitted.stderr,
    /warning: No worker can take it as it is.* 921600\.0 GiB are needed.*berth cancel huge#1/,
  );
  const shown = await platform.berth("run", "show", "huge#1");
  assert.match(shown.stdout, /impossible as it is: No worker can take it/);
  assert.match(shown.stdout, /local: impossible, has \d+\.\d GiB of memory/);
  const json = JSON.parse((await platform.berth("run", "show", "huge#1", "--json")).stdout);
  assert.equal(json.run.waiting.possible, false);
  assert.deepEqual(
    json.run.waiting.workers[0].reasons.map(({ code, kind }: { code: string; kind: string }) => [code, kind]),
    [["memory", "impossible"]],
  );
  assert.equal((await platform.berth("cancel", "huge#1")).code, 0);
});
