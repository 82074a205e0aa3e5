import assert from "node:assert/strict";
import { test } from "node:test";
import { runServer, showRun, showSteps, started, submit, succeeded, takeRun } from "../../../test/setup/run-fixture.ts";
import { type TestServer, testWorker } from "../../../test/setup/server.ts";
import type { AgentEventBody } from "../../protocol/events.ts";
import { ATTEMPT_SLACK_MS, CATCH_UP_MS, enforceDeadlines, STOP_MAX_MS } from "./deadlines.ts";
import { reap } from "./reap.ts";

const LIMITED = `
name: limited
timeout: 2h
queueTimeout: 1h
environment: { image: busybox }
steps: { make: { run: "true", resources: { timeout: 10m } }, use: { run: "true", needs: [make] } }
`;

/** Moves a column of the run, or of its attempts, into the past. */
async function longAgo(
  { services }: TestServer,
  table: "runs" | "attempts",
  column: string,
  ms: number,
): Promise<void> {
  await services.database.pool.query(`UPDATE ${table} SET ${column} = ${column} - $1 * interval '1 ms'`, [ms]);
}

test("a run that no worker took within its queueTimeout has failed", async (t) => {
  const server = await runServer(t);
  const { id } = await submit(server, { pipeline: LIMITED });
  await enforceDeadlines(server.services);
  assert.equal((await showRun(server, id)).state, "queued");
  await longAgo(server, "runs", "created_at", 3_600_001);
  await enforceDeadlines(server.services);
  const run = await showRun(server, id);
  assert.deepEqual([run.state, run.fault?.code], ["failed", "deadline-queue"]);
  assert.equal((await showSteps(server, id)).get("make")?.state, "skipped");
  const worker = await testWorker(server);
  const answer = await worker.call("POST", "/agent/poll", { freeSlots: 1, held: [], knownCancels: [], waitMs: 0 });
  assert.deepEqual(answer.json().assignments, []);
});

test("a run that its agent does not stop when its time is up is stopped by the server, and has failed", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const { id } = await submit(server, { pipeline: LIMITED });
  const held = await takeRun(worker);
  const { timeLeftMs } = held.assignment;
  assert.ok(timeLeftMs !== null && timeLeftMs > 7_100_000 && timeLeftMs <= 7_200_000, String(timeLeftMs));
  await longAgo(server, "runs", "started_at", 7_200_000);
  await enforceDeadlines(server.services);
  assert.equal((await showRun(server, id)).state, "running", "the agent comes first");
  await longAgo(server, "runs", "started_at", 60_000);
  await enforceDeadlines(server.services);
  assert.equal((await showRun(server, id)).state, "cancelling");
  const facts = {
    by: "the server",
    reason: "The run took longer than its timeout of 7200 s.",
    code: "deadline-total",
  } as const;
  const beat = await worker.call("POST", "/agent/heartbeat", { held: [{ run: id, epoch: 1 }] });
  assert.deepEqual(beat.json().cancel, [{ run: id, epoch: 1, ...facts }]);

  await longAgo(server, "runs", "cancel_requested_at", STOP_MAX_MS + 1000);
  await enforceDeadlines(server.services);
  const run = await showRun(server, id);
  assert.deepEqual([run.state, run.fault?.code, run.fault?.message], ["failed", "deadline-total", facts.reason]);
  const late = await held.report(started("make"));
  assert.equal(late.statusCode, 409);
});

test("an agent that hangs over an attempt whose time was up loses the run to another", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const { id } = await submit(server, { pipeline: LIMITED });
  const held = await takeRun(worker);
  assert.equal((await held.report({ ...started("make"), timeoutMs: 600_000 } as AgentEventBody)).statusCode, 200);
  await longAgo(server, "attempts", "started_at", 600_000 + ATTEMPT_SLACK_MS);
  await enforceDeadlines(server.services);
  assert.equal((await showRun(server, id)).state, "running");
  await longAgo(server, "attempts", "started_at", 600_001);
  await enforceDeadlines(server.services);
  assert.equal((await showRun(server, id)).state, "queued");
  assert.equal((await showSteps(server, id)).get("make")?.attempts[0]?.state, "lost");
  assert.equal((await held.report(started("use"))).statusCode, 409);
});

test("an attempt that ended while the server was away is not lost when it is back", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const pipeline = "name: p\nenvironment: { image: busybox }\nsteps: { a: { run: x, resources: { timeout: 1m } } }\n";
  const { id } = await submit(server, { pipeline });
  const run = await takeRun(worker);
  assert.equal(
    (
      await run.report({ type: "run.started", backend: "process" }, {
        ...started("a"),
        timeoutMs: 60_000,
      } as AgentEventBody)
    ).statusCode,
    200,
  );
  // The server is away for three hours: nobody could report, and nobody looked.
  const { pool } = server.services.database;
  await pool.query("UPDATE attempts SET started_at = started_at - interval '3 hours'");
  await pool.query(
    "UPDATE runs SET started_at = started_at - interval '3 hours', lease_expires_at = lease_expires_at - interval '3 hours'",
  );
  await pool.query("UPDATE reaper SET passed_at = now() - interval '3 hours'");
  // One pass of loops.ts.
  assert.equal((await reap(server.services, { recoveryAfterMs: 300_000 })).extended, 1);
  await enforceDeadlines(server.services);
  assert.equal((await showRun(server, id)).state, "running");
  assert.equal((await run.report(succeeded("a"))).statusCode, 200);
});

test("what agents do not tell in the minutes after an outage is given up as ever", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const { id } = await submit(server, { pipeline: LIMITED });
  const held = await takeRun(worker);
  assert.equal((await held.report({ ...started("make"), timeoutMs: 600_000 } as AgentEventBody)).statusCode, 200);
  await longAgo(server, "attempts", "started_at", 2 * 600_000 + ATTEMPT_SLACK_MS + 1);
  const { pool } = server.services.database;
  const steadySince = (ms: number) => pool.query("UPDATE reaper SET steady_since = now() - $1 * interval '1 ms'", [ms]);
  await steadySince(CATCH_UP_MS - 10_000);
  await enforceDeadlines(server.services);
  assert.equal((await showRun(server, id)).state, "running");
  await steadySince(CATCH_UP_MS + 1);
  await enforceDeadlines(server.services);
  assert.equal((await showRun(server, id)).state, "queued");
});
