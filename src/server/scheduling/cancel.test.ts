import assert from "node:assert/strict";
import { test } from "node:test";
import {
  chainEvents,
  errorOf,
  poll,
  reapNow,
  reboot,
  runServer,
  showRun,
  showSteps,
  started,
  submit,
  takeRun,
  waitBegins,
} from "../../../test/setup/run-fixture.ts";
import { type TestServer, testWorker } from "../../../test/setup/server.ts";
import type { RunEvent } from "../../protocol/events.ts";
import { fault } from "../../protocol/faults.ts";

async function cancel(server: TestServer, run: string, payload?: object) {
  return server.call("developer", { method: "POST", url: `/runs/${run}/cancel`, ...(payload && { payload }) });
}

async function eventTypes(server: TestServer, run: string): Promise<string[]> {
  const { items } = (await server.call("viewer", { url: `/runs/${run}/events` })).json();
  return (items as RunEvent[]).map(({ body }) => body.type);
}

test("a queued run is cancelled at once, with who and why, and no worker gets it", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const { id } = await submit(server);
  const answer = await cancel(server, id, { reason: "a typo" });
  assert.equal(answer.statusCode, 200, answer.body);
  const run = await showRun(server, id);
  assert.equal(run.state, "cancelled");
  assert.deepEqual([run.cancel?.by, run.cancel?.reason], ["test-developer", "a typo"]);
  assert.equal(run.fault?.code, "cancelled");
  assert.ok(run.finishedAt);
  assert.equal(run.stepCounts.cancelled, 2);
  assert.deepEqual(await eventTypes(server, id), ["run.created", "run.cancel_requested", "run.finished"]);
  assert.deepEqual((await poll(worker)).json().assignments, []);
  assert.equal((await cancel(server, id)).statusCode, 200, "asking again is fine");
  assert.equal((await eventTypes(server, id)).length, 3, "and changes nothing");
});

test("a running run is cancelled by its agent, which hears of it by a poll that waits, and in its next report", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const { id } = await submit(server);
  const run = await takeRun(worker);
  await run.report(started("make"));
  const held = [{ run: id, epoch: 1 }];
  const begun = waitBegins(server);
  const waiting = poll(worker, { held, freeSlots: 0, waitMs: 20_000 });
  await begun;
  assert.equal((await cancel(server, id)).json().state, "cancelling");
  assert.deepEqual((await waiting).json().cancel, [
    { run: id, epoch: 1, by: "test-developer", reason: null, code: "cancelled" },
  ]);
  assert.deepEqual((await poll(worker, { held, knownCancels: [id] })).json().cancel, []);
  assert.equal((await run.report({ type: "run.started", backend: "process" })).json().cancel?.code, "cancelled");

  const why = fault("cancelled", "stopped");
  const end = { exitCode: null, signal: "SIGTERM", fault: why, phases: {}, usage: {} };
  const answer = await run.report(
    {
      ...{ type: "attempt.finished", stepRun: "make", attempt: 1, state: "cancelled", stepState: "cancelled" },
      ...{ ...end, outputs: [], inputs: [], warnings: [] },
    },
    { type: "run.finished", state: "cancelled", fault: why },
  );
  assert.deepEqual(answer.json(), { ackedSeq: 4, cancel: null });
  assert.equal((await showRun(server, id)).state, "cancelled");
  const steps = await showSteps(server, id);
  assert.deepEqual([steps.get("make")?.state, steps.get("use")?.state], ["cancelled", "cancelled"]);
});

test("a run that ends by itself before it hears of the cancel stays as it ended", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const { id } = await submit(server);
  const run = await takeRun(worker);
  assert.equal((await cancel(server, id)).json().state, "cancelling");
  assert.equal((await run.report(...chainEvents())).statusCode, 200);
  assert.equal((await showRun(server, id)).state, "succeeded");
  const late = await cancel(server, id);
  assert.equal(late.statusCode, 409);
  assert.deepEqual(errorOf(late).details, { state: "succeeded" });
});

test("a cancel and the end of a run at the same time leave one of the two, never a mixture", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const endings = new Set<string>();
  for (let round = 0; round < 8; round++) {
    const { id } = await submit(server);
    const run = await takeRun(worker);
    const [cancelled, reported] = await Promise.all([cancel(server, id), run.report(...chainEvents())]);
    assert.equal(reported.statusCode, 200, reported.body);
    assert.ok([200, 409].includes(cancelled.statusCode));
    const shown = await showRun(server, id);
    assert.equal(shown.state, "succeeded");
    assert.equal(shown.cancel === null, cancelled.statusCode === 409);
    const types = await eventTypes(server, id);
    assert.equal(types.filter((type) => type === "run.finished").length, 1);
    assert.equal(types.at(-1), "run.finished");
    endings.add(String(cancelled.statusCode));
  }
});

test("a run to be cancelled whose worker is lost is cancelled without waiting for its recovery", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const { id } = await submit(server);
  const run = await takeRun(worker);
  await run.report(started("make"));
  await cancel(server, id);
  const pool = server.services.database.pool;
  await pool.query("UPDATE runs SET lease_expires_at = now() + interval '1 second'");
  assert.deepEqual((await reapNow(server, 3_600_000)).released, []);
  await pool.query("UPDATE runs SET lease_expires_at = now() - interval '1 second'");
  assert.equal((await reapNow(server, 3_600_000)).released.length, 1);
  const shown = await showRun(server, id);
  assert.deepEqual([shown.state, shown.fault?.code], ["cancelled", "cancelled"]);
  assert.equal((await showSteps(server, id)).get("make")?.attempts[0]?.state, "lost");
  assert.deepEqual((await eventTypes(server, id)).slice(-2), ["run.released", "run.finished"]);
  const held = [{ run: id, epoch: 1 }];
  assert.deepEqual((await poll(worker, { held })).json().lost, held, "the agent stops what it runs when it is back");
});

test("a run to be cancelled is not started again by a worker that lost it", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const { id } = await submit(server);
  await takeRun(worker);
  await cancel(server, id);
  const next = await reboot(server, worker, []);
  assert.equal((await showRun(server, id)).state, "cancelled");
  assert.deepEqual((await poll(next.worker)).json().assignments, []);
});

test("a run of another project cannot be cancelled, nor by a viewer", async (t) => {
  const server = await runServer(t);
  const { id } = await submit(server);
  const pool = server.services.database.pool;
  await pool.query("INSERT INTO projects (id, name) VALUES ('prj_other', 'other')");
  const viewer = await server.call("viewer", { method: "POST", url: `/runs/${id}/cancel`, payload: {} });
  assert.equal(viewer.statusCode, 403);
  const { testToken } = await import("../../../test/setup/server.ts");
  const authorization = `Bearer ${await testToken(server.services, "admin", "prj_other")}`;
  for (const url of [`/runs/${id}`, `/runs/${id}/steps`, `/runs/${id}/events`, `/runs/${id}/logs`]) {
    assert.equal((await server.call(null, { url, headers: { authorization } })).statusCode, 404, url);
  }
  const foreign = { method: "POST", url: `/runs/${id}/cancel`, payload: {}, headers: { authorization } } as const;
  assert.equal((await server.call(null, foreign)).statusCode, 404);
  assert.equal((await showRun(server, id)).state, "queued");
});
