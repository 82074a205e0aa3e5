import assert from "node:assert/strict";
import { test } from "node:test";
import { CHAIN, lockIsAwaited, runServer } from "../../../test/setup/run-fixture.ts";
import {
  apply,
  EACH_HOUR,
  hoursPass,
  letBeDue,
  nightly,
  outcomes,
  showSchedule,
} from "../../../test/setup/schedule-fixture.ts";
import { lockGroup } from "../store/groups.ts";
import { takeRunNumber } from "../store/pipelines.ts";
import { cancelRunWithin } from "./cancel.ts";
import { fireSchedules } from "./fire-schedules.ts";

test("a schedule that stops its older run and a submission that stops the same one do not wait for each other", async (t) => {
  const server = await runServer(t);
  const { database } = server.services;
  const later = nightly("overlap: cancel_older", EACH_HOUR);
  await apply(
    server,
    later.replace(CHAIN, CHAIN.replace("name: chain", "name: chain\nconcurrency: { group: g, policy: cancel_older }")),
  );
  await letBeDue(server);
  await fireSchedules(server.services);
  const [run] = (await server.call("viewer", { url: "/runs" })).json().items;
  // From now on its runs belong to no group, while the older one still does.
  await apply(server, later);
  await hoursPass(server);
  await letBeDue(server);
  let fired: Promise<unknown> | undefined;
  const { project } = server;
  // As enterGroup does it: the group, the pipeline, then the runs that are stopped.
  await database.transaction(async (client) => {
    await lockGroup(client, { project, group: "g" });
    await takeRunNumber(client, project, "chain");
    fired = fireSchedules(server.services);
    await lockIsAwaited(server);
    await cancelRunWithin(client, { project, run: run.id, facts: { by: "x", reason: null, code: "cancelled" } });
  });
  await fired;
  assert.deepEqual(outcomes(await showSchedule(server)), ["started #1", "started #3"]);
});
