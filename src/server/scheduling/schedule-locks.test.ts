import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { collectNow } from "../../../test/setup/retention-fixture.ts";
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

test("the source of a schedule that is being applied is not collected before the schedule refers to it", async (t) => {
  const server = await runServer(t);
  const { services, project } = server;
  await apply(server, nightly());
  const bytes = Buffer.from("a source");
  const digest = createHash("sha256").update(bytes).digest("hex");
  await services.blobs.put(project, digest, bytes.length, bytes);
  const payload = { pipeline: nightly(), source: { digest, size: bytes.length } };
  let applying: Promise<{ statusCode: number; body: string }> | undefined;
  await services.database.transaction(async (client) => {
    await client.query("SELECT FROM schedules FOR UPDATE");
    applying = server.call("developer", { method: "POST", url: "/schedules/apply", payload });
    await lockIsAwaited(server);
    await collectNow(server);
  });
  const answer = await applying!;
  assert.equal(answer.statusCode, 200, answer.body);
  assert.deepEqual(await services.blobs.missing(project, [digest]), []);
});
