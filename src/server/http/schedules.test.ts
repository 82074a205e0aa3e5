import assert from "node:assert/strict";
import { test } from "node:test";
import { CHAIN, errorOf, runServer, submit } from "../../../test/setup/run-fixture.ts";
import { apply, EACH_HOUR, letBeDue, nightly, outcomes, showSchedule } from "../../../test/setup/schedule-fixture.ts";
import type { TestServer } from "../../../test/setup/server.ts";
import { fireSchedules } from "../scheduling/fire-schedules.ts";

async function post(server: TestServer, url: string, payload?: object) {
  return server.call("developer", { method: "POST", url, ...(payload === undefined ? {} : { payload }) });
}

test("applying a file makes its schedules, changes what changed and removes the rest; running it changes none", async (t) => {
  const server = await runServer(t);
  const two = nightly().replace("schedules: {", 'schedules: { hourly: "@hourly",');
  const first = await apply(server, two);
  assert.deepEqual(
    first.schedules.map(({ change, schedule: { name, state } }) => [name, change, state]),
    [
      ["hourly", "created", "active"],
      ["nightly", "created", "active"],
    ],
  );
  const again = await apply(server, two);
  assert.deepEqual(
    again.schedules.map(({ change, schedule }) => [change, schedule.nextAt]),
    first.schedules.map(({ schedule }) => ["unchanged", schedule.nextAt]),
  );
  await submit(server, { pipeline: CHAIN });
  assert.equal((await server.call("viewer", { url: "/schedules" })).json().items.length, 2);
  const changed = await apply(server, nightly("timezone: Asia/Tokyo"));
  assert.deepEqual(changed.removed, ["hourly"]);
  assert.deepEqual(
    changed.schedules.map(({ change, schedule }) => [change, schedule.nextAt === first.schedules[1]?.schedule.nextAt]),
    [["changed", false]],
  );
  const none = await apply(server, CHAIN);
  assert.deepEqual([none.schedules, none.removed], [[], ["nightly"]]);
  assert.deepEqual((await server.call("viewer", { url: "/schedules" })).json().items, []);
});

test("a new version of the pipeline is what runs from then on, and a time that is overdue is kept", async (t) => {
  const server = await runServer(t);
  await apply(server, nightly("", EACH_HOUR));
  await letBeDue(server);
  const { nextAt } = await showSchedule(server);
  const { pipelineVersion } = await apply(server, nightly("", EACH_HOUR).replace("echo hello", "echo bye"));
  assert.equal(pipelineVersion, 2);
  const schedule = await showSchedule(server);
  assert.deepEqual([schedule.pipelineVersion, schedule.nextAt], [2, nextAt]);
});

test("a paused schedule is never due, also where its file is applied again, and does not catch up when it goes on", async (t) => {
  const server = await runServer(t);
  await apply(server, nightly("catchUp: all, overlap: queue", EACH_HOUR));
  await letBeDue(server, 3);
  await fireSchedules(server.services);
  const paused = await post(server, "/schedules/chain/nightly/pause", { reason: "closed" });
  assert.equal(paused.statusCode, 200);
  const { state, nextAt, next, paused: pause } = paused.json();
  assert.deepEqual([state, nextAt, next, pause.by, pause.reason], ["paused", null, [], "test-developer", "closed"]);
  assert.deepEqual(outcomes(await showSchedule(server)), ["started #1", "paused", "paused"]);
  const [applied] = (await apply(server, nightly("overlap: skip", EACH_HOUR))).schedules;
  assert.deepEqual([applied?.change, applied?.schedule.state, applied?.schedule.nextAt], ["changed", "paused", null]);
  await fireSchedules(server.services);
  const resumed = (await post(server, "/schedules/chain/nightly/resume")).json();
  assert.equal(resumed.state, "active");
  assert.ok(Date.parse(resumed.nextAt) > Date.now());
  assert.equal((await server.call("viewer", { url: "/runs" })).json().items.length, 1);
});

test("a schedule that its file disables is kept and cannot be resumed", async (t) => {
  const server = await runServer(t);
  await apply(server, nightly("enabled: false"));
  assert.deepEqual([(await showSchedule(server)).state, (await showSchedule(server)).nextAt], ["disabled", null]);
  const refused = await post(server, "/schedules/chain/nightly/resume");
  assert.equal(refused.statusCode, 409);
  assert.match(errorOf(refused).advice ?? "", /enabled: false/);
  const active = await server.call("viewer", { url: "/schedules?state=active" });
  assert.deepEqual(active.json().items, []);
});

test("somebody who does not wait gets a run at once, which counts as one of the schedule", async (t) => {
  const server = await runServer(t);
  await apply(server, nightly("overlap: skip", EACH_HOUR));
  const made = await post(server, "/schedules/chain/nightly/run");
  assert.equal(made.statusCode, 201, made.body);
  const run = made.json();
  assert.deepEqual(run.startedBy, { kind: "schedule", name: "chain/nightly", dueAt: null, by: "test-developer" });
  assert.equal(run.createdBy, "test-developer");
  await letBeDue(server);
  await fireSchedules(server.services);
  const { firings } = await showSchedule(server);
  assert.deepEqual(
    firings.map(({ reason, by }) => reason ?? by),
    ["test-developer", "overlap"],
  );
});

test("due times are listed in pages, the newest first", async (t) => {
  const server = await runServer(t);
  await apply(server, nightly("catchUp: all, overlap: allow", EACH_HOUR));
  await letBeDue(server, 5);
  await fireSchedules(server.services);
  const url = "/schedules/chain/nightly/firings?limit=3";
  const first = (await server.call("viewer", { url })).json();
  const second = (await server.call("viewer", { url: `${url}&cursor=${first.next}` })).json();
  const times = [...first.items, ...second.items].map(({ dueAt: due }: { dueAt: string }) => Date.parse(due));
  assert.deepEqual(
    times.map((time) => (times[0]! - time) / 3_600_000),
    [0, 1, 2, 3, 4],
  );
});

test("what cannot be scheduled is refused with its place, and changes nothing", async (t) => {
  const server = await runServer(t);
  await apply(server, nightly());
  const bad = await post(server, "/schedules/apply", { pipeline: nightly("timezone: Nowhere", "0 0 30 2 *") });
  assert.equal(bad.statusCode, 422);
  assert.deepEqual(
    errorOf(bad).problems?.map(({ path }) => path),
    ["schedules.nightly.cron", "schedules.nightly.timezone"],
  );
  assert.equal((await showSchedule(server)).cron, "0 3 * * *");
  const validated = await server.call("viewer", {
    ...{ method: "POST", url: "/pipelines/validate", payload: { text: nightly() } },
  });
  assert.equal(validated.json().schedules[0].name, "nightly");
  for (const url of ["/schedules/chain/other", "/schedules/other/nightly", "/schedules/other/nightly/firings"]) {
    assert.equal((await server.call("viewer", { url })).statusCode, 404, url);
  }
  const removed = await server.call("developer", { method: "DELETE", url: "/schedules/chain/nightly" });
  assert.equal(removed.statusCode, 204);
  assert.equal((await post(server, "/schedules/chain/nightly/run")).statusCode, 404);
});
