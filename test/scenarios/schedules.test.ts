import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { queryEmbedded } from "../setup/embedded-database.ts";
import { ScenarioPlatform, until } from "./platform.ts";

const platform = new ScenarioPlatform();
after(() => platform[Symbol.asyncDispose]());

test("a schedule of a file fires by itself, in its version, until it is paused; who started what is told", async () => {
  const ledger = join(platform.folder, "ledger");
  const lines = () => (existsSync(ledger) ? readFileSync(ledger, "utf8").trim().split("\n") : []);
  const file = (word: string, schedules: object = { often: "* * * * *" }) =>
    platform.write("tick.yaml", {
      name: "tick",
      environment: { image: "none" },
      worker: { backend: "process" },
      params: { who: "nobody" },
      schedules,
      steps: { say: { run: `echo "${word} \${{ params.who }}" >> ${ledger}` } },
    });
  const bad = await platform.berth("schedules", "apply", file("first", { often: "61 * * * *" }));
  assert.equal(bad.code, 2, bad.stderr);
  assert.match(bad.stderr, /tick\.yaml:1:\d+ schedules\.often: "61 \* \* \* \*" is no cron expression/);
  const applied = await platform.berth(
    "schedules",
    "apply",
    file("first", { often: { cron: "* * * * *", params: { who: "clock" } } }),
  );
  assert.equal(applied.code, 0, applied.stderr);
  assert.match(applied.stdout, /^tick\/often +created +\* \* \* \* \* UTC +next \d{4}-\d\d-\d\d \d\d:\d\d$/m);

  // What only the next minute would bring comes now.
  const isDue = () =>
    queryEmbedded(
      platform.home,
      "UPDATE schedules SET next_at = date_trunc('minute', now()) WHERE NOT EXISTS (SELECT FROM schedule_firings f WHERE f.due_at = date_trunc('minute', now()))",
    );
  await isDue();
  await until("the first run has come", () => lines().length >= 1);
  // The file has changed, and has been run, but not applied.
  const run = await platform.berth("run", file("second"), "--quiet");
  assert.equal(run.code, 0, run.stderr);
  await queryEmbedded(platform.home, "UPDATE schedule_firings SET due_at = due_at - interval '1 hour'");
  await isDue();
  const ofClock = () => lines().filter((line) => line.endsWith("clock"));
  await until("the second run has come", () => ofClock().length >= 2);
  assert.deepEqual([...new Set(ofClock())], ["first clock"]);

  const listed = await platform.berth("schedules");
  assert.match(listed.stdout, /tick\/often +active +\* \* \* \* \* +UTC +\d{4}-.* in .* +tick#\d/);
  const runs = await platform.berth("runs");
  assert.match(runs.stdout, /schedule tick\/often/);
  const shown = await platform.berth("run", "show", "tick#1");
  assert.match(shown.stdout, /started by schedule tick\/often, due at \d{4}-/);
  const person = await platform.berth("run", "show", "tick#2");
  assert.match(person.stdout, /started by local-admin at/);

  assert.equal((await platform.berth("schedules", "pause", "tick/often", "--reason", "enough")).code, 0);
  const paused = await platform.berth("schedules", "show", "tick/often");
  assert.match(paused.stdout, /paused: by local-admin, enough/);
  assert.match(paused.stdout, /Last:\n +\d{4}-\d\d-\d\d \d\d:\d\d +tick#\d (succeeded|running|queued)/);
  const now = await platform.berth("schedules", "run-now", "tick/often", "--json");
  assert.equal(now.code, 0, now.stderr);
  assert.deepEqual(JSON.parse(now.stdout).run.startedBy, {
    ...{ kind: "schedule", name: "tick/often", dueAt: null, by: "local-admin" },
  });
  assert.match((await platform.berth("schedules", "resume", "tick/often")).stdout, /is active, next /);
  assert.equal((await platform.berth("schedules", "remove", "tick/often")).code, 0);
  assert.match((await platform.berth("schedules", "show", "tick/often")).stderr, /There is no schedule tick\/often/);
  assert.equal((await platform.berth("schedules", "show", "often")).code, 2);
  await platform.tidy();
});
