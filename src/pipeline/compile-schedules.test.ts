import assert from "node:assert/strict";
import { test } from "node:test";
import { compilePipeline } from "./compile.ts";
import { ENVIRONMENT, problemsOf, warningsOf } from "./testing/compile-text.ts";

const file = (schedules: string, head = "params: { seed: 7 }") =>
  `name: p\n${ENVIRONMENT}\n${head}\nschedules:\n${schedules}\nsteps: { a: { run: x } }`;

test("a schedule is a cron expression, or one with a time zone and what to do; it changes nothing of the plan", () => {
  const plain = compilePipeline(file("  {}"));
  const scheduled = compilePipeline(
    file(`  hourly: "@hourly"
  nightly: { cron: 0 3 * * *, timezone: Europe/Berlin, overlap: queue, catchUp: all, params: { seed: 8 }, enabled: false }`),
  );
  assert.ok(plain.ok && scheduled.ok);
  assert.deepEqual(scheduled.plan, plain.plan);
  assert.deepEqual(scheduled.schedules, [
    {
      ...{
        name: "hourly",
        cron: "@hourly",
        timezone: "UTC",
        overlap: "skip",
        catchUp: "last",
        params: {},
        enabled: true,
      },
    },
    {
      ...{ name: "nightly", cron: "0 3 * * *", timezone: "Europe/Berlin", overlap: "queue", catchUp: "all" },
      ...{ params: { seed: 8 }, enabled: false },
    },
  ]);
});

test("what is wrong with a schedule is said with its place", () => {
  const found = problemsOf(
    file(`  never: 0 0 30 2 *
  wrong: { cron: 60 * * * * }
  where: { cron: "@daily", timezone: Europe/Berln }
  which: { cron: "@daily", params: { sed: 1, seed: many } }
  when: { cron: "@daily", overlap: qeue }
  what: { corn: "@daily" }`),
  );
  assert.deepEqual(found, [
    'p.yaml:5:10 schedules.never: "0 0 30 2 *" never comes: there is no such date; look at its day and month',
    'p.yaml:6:18 schedules.wrong.cron: "60 * * * *" is no cron expression: invalid value for minute: 60',
    'p.yaml:7:38 schedules.where.timezone: "Europe/Berln" is no time zone, did you mean "Europe/Berlin"?',
    'p.yaml:8:43 schedules.which.params.sed: the pipeline has no parameter "sed", did you mean "seed"?',
    'p.yaml:8:52 schedules.which.params.seed: must be a whole number between -2^53 and 2^53, not "many"',
    'p.yaml:9:36 schedules.when.overlap: the text "qeue" is not allowed here; choose "skip" or "queue" or "cancel_older" or "allow", did you mean "queue"?',
    'p.yaml:10:3 schedules.what.cron: "cron" is missing',
    'p.yaml:10:11 schedules.what: unknown key "corn", did you mean "cron"?',
  ]);
});

test("a parameter that every run must give is asked of every schedule", () => {
  const head = "params: { model: { type: string } }";
  assert.deepEqual(problemsOf(file("  nightly: 0 3 * * *", head)), [
    'p.yaml:5:3 schedules.nightly: the parameter "model" has no default, so a string must be given, by "params" of the schedule',
  ]);
  assert.ok(compilePipeline(file("  nightly: { cron: 0 3 * * *, params: { model: knn } }", head)).ok);
});

test("catching up what then may not run beside each other is warned of", () => {
  assert.match(warningsOf(file('  n: { cron: "@daily", catchUp: all }')).join(), /overlap: queue runs all of them/);
  assert.deepEqual(warningsOf(file('  n: { cron: "@daily", catchUp: all, overlap: queue }')), []);
});
