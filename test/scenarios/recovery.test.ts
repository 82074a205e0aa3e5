import assert from "node:assert/strict";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ensureDocker, type TestDocker, testImage } from "../setup/docker.ts";
import { type Part, ScenarioPlatform, until } from "./platform.ts";

/** kill -9 of each part in the middle of a run: it comes back, and the run ends as if nothing had happened. */

const platform = new ScenarioPlatform();
let docker: TestDocker;
before(async () => {
  docker = await ensureDocker();
});
after(async () => {
  await platform[Symbol.asyncDispose]();
  await docker[Symbol.asyncDispose]();
});

/** Lines before, while and after a part is gone; enough for several requests of a log shipper. */
const LINES = 300;
const KILLED_AT = 100;

/** Two steps; the first prints numbers, and at the middle waits until the output folder's `go` is there. */
async function numbers(backend: "docker" | "process") {
  const image = backend === "docker" ? await testImage() : "none";
  const wait = backend === "docker" ? "sleep 1" : `while [ ! -e ${join(platform.folder, "go")} ]; do sleep 0.1; done`;
  const run = `i=0; while [ $i -lt ${LINES} ]; do
    echo "line $i"; i=$((i + 1)); if [ $i = ${KILLED_AT} ]; then ${wait}; fi; if [ $((i % 25)) = 0 ]; then sleep 0.1; fi
  done; echo $i > "$BERTH_OUT/count"`;
  return platform.write("numbers.yaml", {
    name: "numbers",
    environment: { image },
    steps: {
      count: { run, outputs: { count: "count" } },
      next: { inputs: { count: "count.count" }, run: 'echo "counted $(cat "$BERTH_IN/count")"' },
    },
  });
}

async function survives(parts: readonly Part[], backend: "docker" | "process"): Promise<void> {
  const go = join(platform.folder, "go");
  rmSync(go, { force: true });
  const run = platform.start(["run", await numbers(backend), "--backend", backend]);
  await until(
    "the step runs",
    () => run.output.stdout.includes(`count | line ${KILLED_AT - 10}\n`),
    () => JSON.stringify(run.output),
  );
  // All of them are looked up first: a supervisor that is gone has no children.
  const pids = parts.map((part) => platform.pidOf(part));
  for (const pid of pids) process.kill(pid, "SIGKILL");
  await until("they are gone", () => pids.every((pid) => !existsSync(`/proc/${pid}`)));
  writeFileSync(go, "");
  const { code, stdout, stderr } = await run.ended;
  assert.equal(code, 0, `${stdout}\n${stderr}`);
  const shown = stdout.split("\n").flatMap((line) => /^count \| line (\d+)$/.exec(line)?.[1] ?? []);
  const expected = Array.from({ length: LINES }, (_, index) => String(index));
  assert.deepEqual(shown, expected, "each line was shown once and in order");

  const name = /numbers#\d+/.exec(stdout)![0];
  const stored = (await platform.berth("logs", name, "--step", "count")).stdout;
  assert.deepEqual(
    [...stored.matchAll(/line (\d+)$/gm)].map(([, number]) => number),
    expected,
    "and is stored so",
  );
  assert.match(stdout, new RegExp(`next \\| counted ${LINES}`));
  const json = JSON.parse((await platform.berth("run", "show", name, "--json")).stdout) as { steps: StepCount[] };
  assert.deepEqual(
    json.steps.map(({ attempts }) => attempts.length),
    [1, 1],
    "no step was started twice",
  );
  await platform.tidy();
}

interface StepCount {
  readonly attempts: readonly unknown[];
}

for (const part of ["agent", "server", "PostgreSQL", "supervisor"] as const) {
  test(`kill -9 of the ${part} in the middle of a run`, () => survives([part], "process"));
}

test("kill -9 of everything at once in the middle of a run in Docker", () =>
  survives(["supervisor", "agent", "server", "PostgreSQL"], "docker"));
