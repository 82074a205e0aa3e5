import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ensureDocker, type TestDocker, testImage } from "../setup/docker.ts";
import { ScenarioPlatform, until } from "./platform.ts";

/** Where runs go, and what people are told about those that go nowhere. */

const platform = new ScenarioPlatform();
// No GPU is needed to share two out: they are named by hand, and told to containers by variables alone.
const SETTINGS = { diskFreeMinBytes: 0, gpus: ["fake-0", "fake-1"], backends: { docker: { gpus: "variables" } } };
writeFileSync(join(platform.home, "local-agent/config.json"), JSON.stringify(SETTINGS));
let docker: TestDocker;
before(async () => {
  docker = await ensureDocker();
});
after(async () => {
  await platform[Symbol.asyncDispose]();
  await docker[Symbol.asyncDispose]();
});

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
  assert.match(refused.stderr, /local: .*has \d+\.\d GiB of memory, and 921600\.0 GiB are needed/);
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
  assert.match(shown.stdout, /local: impossible, has a backend process that cannot limit .*has \d+\.\d GiB of memory/);
  const json = JSON.parse((await platform.berth("run", "show", "huge#1", "--json")).stdout);
  assert.equal(json.run.waiting.possible, false);
  assert.deepEqual(
    json.run.waiting.workers[0].reasons.map(({ code, kind }: { code: string; kind: string }) => [code, kind]),
    [
      ["backend", "impossible"],
      ["memory", "impossible"],
    ],
  );
  assert.equal((await platform.berth("cancel", "huge#1")).code, 0);
});

test("a GPU stays its step's alone when the agent is killed and started again, as the label of its container says", async () => {
  const say = 'echo "has $BERTH_GPUS, sees $NVIDIA_VISIBLE_DEVICES"';
  const image = await testImage();
  const start = (script: string) => {
    const steps = { work: { run: `${say}; ${script}`, resources: { gpu: 1 } } };
    const file = platform.write("gpus.yaml", { name: "gpus", environment: { image }, steps });
    return platform.start(["run", file, "--backend", "docker"]);
  };
  const first = start("while [ ! -e /berth/tmp/go ]; do sleep 0.1; done");
  await until(
    "the first has its GPU",
    () => first.output.stdout.includes("has fake-0, sees fake-0"),
    () => JSON.stringify(first.output),
  );
  const [container] = platform.containers().filter((id) => labelOf(id) !== null);
  assert.deepEqual(labelOf(container!)?.gpus, ["fake-0"]);
  const agent = platform.pidOf("agent");
  process.kill(agent, "SIGKILL");
  await until("it is another agent", () => ![agent, null].includes(platform.findPid("agent")));
  const second = await start("true").ended;
  assert.equal(second.code, 0, second.stderr);
  assert.match(second.stdout, /has fake-1, sees fake-1/);
  assert.equal(spawnSync("docker", ["exec", container!, "touch", "/berth/tmp/go"]).status, 0);
  const { code, stderr } = await first.ended;
  assert.equal(code, 0, stderr);
  const workers = JSON.parse((await platform.berth("workers", "--json")).stdout);
  assert.deepEqual(
    workers[0].gpus.map(({ id }: { id: string }) => id),
    ["fake-0", "fake-1"],
  );
  await platform.tidy();
});

/** What a container says that is reserved for it; null for one that is no step's. */
function labelOf(container: string): { readonly gpus: readonly string[] } | null {
  const format = '{{ index .Config.Labels "berth.reserved" }}';
  const { stdout } = spawnSync("docker", ["inspect", "--format", format, container], { encoding: "utf8" });
  return stdout.trim() === "" ? null : JSON.parse(stdout);
}
