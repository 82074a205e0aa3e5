import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { chainEvents, runServer, showRun, takeRun } from "../../../test/setup/run-fixture.ts";
import {
  apply,
  EACH_HOUR,
  hoursPass,
  letBeDue,
  nightly,
  outcomes,
  showSchedule,
} from "../../../test/setup/schedule-fixture.ts";
import { type TestServer, testWorker } from "../../../test/setup/server.ts";
import type { Run } from "../../protocol/resources.ts";
import { fireSchedules } from "./fire-schedules.ts";
import { STARTS_MAX } from "./overlap.ts";

async function listRuns(server: TestServer): Promise<Run[]> {
  return (await server.call("viewer", { url: "/runs" })).json().items;
}

test("a schedule that is due makes one run of what was applied, and says so; before its time it makes none", async (t) => {
  const server = await runServer(t);
  await apply(server, nightly("params: { seed: 8 }", EACH_HOUR));
  await fireSchedules(server.services);
  assert.deepEqual(await listRuns(server), []);
  await letBeDue(server);
  await fireSchedules(server.services);
  await fireSchedules(server.services);
  const [run, ...more] = await listRuns(server);
  assert.deepEqual(more, []);
  const { nextAt, lastFiring, next } = await showSchedule(server);
  assert.ok(Date.parse(nextAt!) > Date.now());
  assert.deepEqual([next.length, next[0]], [5, nextAt]);
  assert.equal(lastFiring?.run?.id, run?.id);
  assert.deepEqual(run?.params, { seed: 8 });
  assert.deepEqual(run?.startedBy, {
    ...{ kind: "schedule", name: "chain/nightly", dueAt: lastFiring!.dueAt, by: null },
  });
  assert.equal(run?.createdBy, "schedule chain/nightly");
});

test("each due time makes exactly one run, however many replicas look at the same time", async (t) => {
  const first = await runServer(t);
  const replicas = [first, await runServer(t, { url: first.services.database.url })];
  await apply(first, nightly("overlap: allow, catchUp: all", EACH_HOUR));
  const failures: unknown[] = [];
  const log = { warn: (facts: unknown) => failures.push(facts), info: () => {} } as never;
  for (let round = 1; round <= 5; round++) {
    await letBeDue(first, 10);
    await Promise.all(replicas.flatMap(({ services }) => [1, 2].map(() => fireSchedules({ ...services, log }))));
    const { rows } = await first.services.database.pool.query(
      `SELECT count(*)::integer AS firings, count(DISTINCT run_id)::integer AS started,
              (SELECT count(*)::integer FROM runs) AS runs FROM schedule_firings`,
    );
    assert.deepEqual(rows[0], { firings: 10 * round, started: 10 * round, runs: 10 * round });
    assert.deepEqual(failures, [], "nobody stumbled over another replica");
    await hoursPass(first, 10);
  }
});

test("what was missed is caught up as the policy says, and what is not is written down as one entry", async (t) => {
  for (const [catchUp, expected] of [
    ["none", ["missed"]],
    ["last", ["missed", "started #1"]],
    ["all", ["started #1", "started #2", "started #3"]],
  ] as const) {
    const server = await runServer(t);
    await apply(server, nightly(`overlap: allow, catchUp: ${catchUp}`, EACH_HOUR));
    await letBeDue(server, 3);
    await fireSchedules(server.services);
    const schedule = await showSchedule(server);
    assert.deepEqual(outcomes(schedule), expected, catchUp);
    const missed = schedule.firings.find(({ reason }) => reason === "missed");
    const hours = missed === undefined ? 0 : (Date.parse(missed.untilAt!) - Date.parse(missed.dueAt)) / 3_600_000;
    assert.equal(hours, { none: 2, last: 1, all: 0 }[catchUp]);
  }
});

test("many due times are started over several passes, also where runs of the schedule go on", async (t) => {
  const server = await runServer(t);
  await apply(server, nightly("overlap: allow, catchUp: all", EACH_HOUR));
  await letBeDue(server, STARTS_MAX + 5);
  const count = async () => (await server.services.database.pool.query("SELECT FROM runs")).rowCount;
  await fireSchedules(server.services);
  assert.equal(await count(), STARTS_MAX);
  await fireSchedules(server.services);
  await fireSchedules(server.services);
  assert.equal(await count(), STARTS_MAX + 5);
});

test("runs have the source that was applied", async (t) => {
  const server = await runServer(t);
  const source = { digest: createHash("sha256").update("source").digest("hex"), size: 6 };
  const payload = { pipeline: nightly("", EACH_HOUR), source };
  const post = { method: "POST", url: "/schedules/apply", payload } as const;
  assert.equal((await server.call("developer", post)).statusCode, 409, "it has to be there");
  await server.services.blobs.put(server.project, source.digest, source.size, Buffer.from("source"));
  assert.equal((await server.call("developer", post)).statusCode, 200);
  await letBeDue(server);
  await fireSchedules(server.services);
  assert.deepEqual(
    (await listRuns(server)).map((run) => run.source),
    [source],
  );
});

test("skip: a time at which its last run goes on makes none, and names the run that was in the way", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  await apply(server, nightly("overlap: skip", EACH_HOUR));
  const again = async () => {
    await hoursPass(server);
    await letBeDue(server);
    await fireSchedules(server.services);
  };
  await again();
  await again();
  const schedule = await showSchedule(server);
  assert.deepEqual(outcomes(schedule), ["started #1", "overlap"]);
  assert.equal(schedule.firings[0]?.message, "chain#1 had not ended.");
  await (await takeRun(worker)).report(...chainEvents());
  await again();
  assert.deepEqual(outcomes(await showSchedule(server)), ["started #1", "overlap", "started #2"]);
});

test("queue: due times wait for their turn, and start one after another", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  await apply(server, nightly("overlap: queue, catchUp: all", EACH_HOUR));
  await letBeDue(server, 3);
  await fireSchedules(server.services);
  assert.deepEqual(outcomes(await showSchedule(server)), ["started #1", "waiting", "waiting"]);
  await fireSchedules(server.services);
  assert.equal((await listRuns(server)).length, 1);
  await (await takeRun(worker)).report(...chainEvents());
  await fireSchedules(server.services);
  assert.deepEqual(outcomes(await showSchedule(server)), ["started #1", "started #2", "waiting"]);
});

test("cancel_older: the run that goes on is stopped, and the newest due time follows once it has ended", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  await apply(server, nightly("overlap: cancel_older", EACH_HOUR));
  await letBeDue(server);
  await fireSchedules(server.services);
  const held = await takeRun(worker);
  await hoursPass(server);
  await letBeDue(server);
  await fireSchedules(server.services);
  const [older, ...more] = await listRuns(server);
  assert.deepEqual(more, [], "the two never overlap");
  assert.deepEqual([older?.state, older?.cancel?.by], ["cancelling", "schedule chain/nightly"]);
  assert.deepEqual(outcomes(await showSchedule(server)), ["started #1", "waiting"]);
  await held.report(
    { type: "run.started", backend: "process" },
    { type: "run.finished", state: "cancelled", fault: null },
  );
  assert.equal((await showRun(server, held.assignment.run)).state, "cancelled");
  await fireSchedules(server.services);
  assert.deepEqual(outcomes(await showSchedule(server)), ["started #1", "started #2"]);
  // One that no worker has taken yet is out of the way at once.
  await hoursPass(server);
  await letBeDue(server);
  await fireSchedules(server.services);
  assert.deepEqual(outcomes(await showSchedule(server)), ["started #1", "started #2", "started #3"]);
});

test("a run that cannot be made is written down with its reason, and the next due time still comes", async (t) => {
  const server = await runServer(t);
  await apply(server, nightly("", EACH_HOUR));
  await server.services.database.pool.query(
    "UPDATE schedules SET source_digest = repeat('a', 64), source_size = 1 WHERE name = 'nightly'",
  );
  await letBeDue(server);
  await fireSchedules(server.services);
  const { firings, nextAt } = await showSchedule(server);
  assert.deepEqual([firings[0]?.state, firings[0]?.reason], ["skipped", "refused"]);
  assert.match(firings[0]?.message ?? "", /The source is not in the store/);
  assert.ok(Date.parse(nextAt!) > Date.parse(firings[0]!.dueAt));
});
