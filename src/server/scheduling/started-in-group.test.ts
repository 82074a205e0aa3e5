import assert from "node:assert/strict";
import { test } from "node:test";
import { errorOf, lockIsAwaited, runServer, showRun, submit } from "../../../test/setup/run-fixture.ts";
import {
  apply,
  EACH_HOUR,
  hoursPass,
  letBeDue,
  nightly,
  outcomes,
  showSchedule,
} from "../../../test/setup/schedule-fixture.ts";
import { callHook, createTrigger, REF_CHAIN } from "../../../test/setup/trigger-fixture.ts";
import { lockGroup } from "../store/groups.ts";
import { fireSchedules } from "./fire-schedules.ts";

function grouped(concurrency: string, schedule: string): string {
  return nightly(schedule, EACH_HOUR).replace("name: chain", `name: chain\nconcurrency: ${concurrency}`);
}

test("a schedule whose group is busy waits for its place as the policy says, or writes down who was in the way", async (t) => {
  const server = await runServer(t);
  const holder = await submit(server, {
    pipeline: grouped("g", "overlap: allow").replace("name: chain", "name: holder"),
  });
  await apply(server, grouped("{ group: g, policy: refuse }", "overlap: allow"));
  await letBeDue(server);
  await fireSchedules(server.services);
  const { firings } = await showSchedule(server);
  assert.deepEqual([firings[0]?.state, firings[0]?.reason], ["skipped", "refused"]);
  assert.match(firings[0]!.message!, /The group "g" is busy: its places are held by holder#1/);

  await apply(server, grouped("{ group: g, policy: cancel_older }", "overlap: allow"));
  await hoursPass(server);
  await letBeDue(server);
  await fireSchedules(server.services);
  assert.equal(outcomes(await showSchedule(server)).at(-1), "started #1");
  assert.equal((await showRun(server, "chain#1")).concurrency?.heldBack, false);
  assert.equal((await showRun(server, holder.id)).state, "cancelled");
});

test("a schedule that cancels its last run locks their group before the run, so that nobody waits in a circle", async (t) => {
  const server = await runServer(t);
  const { database } = server.services;
  await apply(server, grouped("g", "overlap: cancel_older, catchUp: all"));
  await letBeDue(server);
  await fireSchedules(server.services);
  const { id } = await showRun(server, "chain#1");
  await hoursPass(server);
  await letBeDue(server);
  let fired: Promise<unknown> | undefined;
  try {
    await database.transaction(async (client) => {
      await lockGroup(client, { project: server.project, group: "g" });
      fired = fireSchedules(server.services);
      await lockIsAwaited(server, AbortSignal.timeout(20_000));
      await client.query("SELECT FROM runs WHERE id = $1 FOR NO KEY UPDATE NOWAIT", [id]);
    });
  } finally {
    await fired;
  }
  assert.equal((await showRun(server, id)).state, "cancelled");
  assert.equal((await showRun(server, "chain#2")).concurrency?.heldBack, false);
});

test("a message that comes while the group of its run is busy is refused, and makes the run when it is sent again", async (t) => {
  const server = await runServer(t);
  const pipeline = REF_CHAIN.replace(
    "name: chain",
    'name: chain\nconcurrency: { group: "${{ params.ref }}", policy: refuse }',
  );
  const trigger = await createTrigger(server, "push", { pipeline });
  const call = async (id: string, ref: string) => callHook(server, trigger, { id, body: { ref } });
  const first = (await call("msg_1", "main")).json();
  assert.equal(first.outcome, "started");
  const refused = await call("msg_2", "main");
  assert.deepEqual([refused.statusCode, errorOf(refused).code], [409, "group_busy"]);
  assert.equal((await call("msg_3", "other")).json().outcome, "started");
  await server.call("developer", { method: "POST", url: `/runs/${first.run.id}/cancel` });
  assert.equal((await call("msg_2", "main")).json().outcome, "started");
});
