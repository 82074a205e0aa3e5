import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import type { AttemptUsage } from "../../protocol/attempt-usage.ts";
import { seriesOf } from "../../protocol/usage-series.ts";
import { runCaptured } from "../testing/run-captured.ts";

const TRAIN: AttemptUsage = {
  ...{ stepRun: "train", attempt: 1, state: "succeeded" },
  ...{ startedAt: "2026-01-01T00:00:00.000Z", finishedAt: "2026-01-01T00:00:04.000Z" },
  usage: {
    cpuMs: 6000,
    memoryPeakBytes: 3 * 2 ** 20,
    readBytes: 2048,
    writtenBytes: 0,
    diskBytes: 5 * 2 ** 20,
    pidsPeak: 4,
  },
  series: seriesOf([1000, 2000, 4000].map((atMs) => ({ atMs, cpuMs: atMs * 1.5, memoryBytes: atMs * 1024 }))),
};
const SCORE: AttemptUsage = { ...TRAIN, stepRun: "score", usage: { cpuMs: 20 }, series: null };

async function serving(t: TestContext, items: readonly AttemptUsage[]) {
  const asked: string[] = [];
  const http = createServer((request, response) => {
    asked.push(request.url!);
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({ items, next: null }));
  });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  t.after(() => http.close());
  const env = { BERTH_SERVER: `http://127.0.0.1:${(http.address() as AddressInfo).port}`, BERTH_TOKEN: "brt_x" };
  return { asked, env };
}

test("what each attempt used is a line, and what is not known a dash", async (t) => {
  const { asked, env } = await serving(t, [TRAIN, SCORE]);
  const { exitCode, stdout } = await runCaptured(["usage", "wine#12"], env);
  assert.equal(exitCode, 0);
  assert.match(stdout, /^train +1 +succeeded +4\.0 s +6\.0 s +3\.0 MiB +2\.0 KiB +0 B +- +- +5\.0 MiB +4$/m);
  assert.match(stdout, /^score +1 +succeeded +4\.0 s +0\.02 s +- +- +- +- +- +- +-$/m);
  assert.match(asked[0]!, /\/runs\/wine%2312\/usage/);
});

test("a step is drawn over time, in cores and bytes; one that was too short says so", async (t) => {
  const { asked, env } = await serving(t, [TRAIN, SCORE]);
  const { stdout } = await runCaptured(["usage", "latest", "train", "--attempt", "1"], env);
  assert.match(asked[0]!, /step=train&attempt=1/);
  assert.match(stdout, /^ {2}cores +███ {2}up to 1\.50$/m);
  assert.match(stdout, /^ {2}memory +▂▄█ {2}up to 3\.9 MiB$/m);
  assert.doesNotMatch(stdout, /writes/);
  assert.match(stdout, /^score, attempt 1: over before it was looked at/m);
});

test("an attempt that still runs is shown as it was seen last, with its highest memory", async (t) => {
  const series = seriesOf([
    { atMs: 1000, cpuMs: 900, memoryBytes: 4096 },
    { atMs: 2000, cpuMs: 1500, memoryBytes: 1024 },
  ]);
  const { env } = await serving(t, [{ ...TRAIN, state: "running", finishedAt: null, usage: {}, series }]);
  const { stdout } = await runCaptured(["usage", "latest"], env);
  assert.match(stdout, /^train +1 +running .* 1\.5 s +4\.0 KiB/m);
});

test("JSON is what the server has, and a step that does not exist is a mistake of the caller", async (t) => {
  const json = await runCaptured(["usage", "latest", "--json"], (await serving(t, [TRAIN])).env);
  assert.deepEqual(JSON.parse(json.stdout), [TRAIN]);
  const none = await runCaptured(["usage", "latest", "nope"], (await serving(t, [])).env);
  assert.equal(none.exitCode, 2);
  assert.match(none.stderr, /is of the step nope/);
});
