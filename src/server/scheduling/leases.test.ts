import assert from "node:assert/strict";
import { test } from "node:test";
import {
  chainEvents,
  driver,
  errorOf,
  inlineOutput,
  lockIsAwaited,
  poll,
  reapNow,
  reboot,
  runServer,
  showRun,
  showSteps,
  started,
  submit,
  succeeded,
  takeRun,
  waitBegins,
} from "../../../test/setup/run-fixture.ts";
import { TEST_CAPABILITIES, type TestServer, testWorker } from "../../../test/setup/server.ts";
import { AGENT_API_VERSION, type Assignment, LEASE_DURATION_MS } from "../../protocol/agent-api.ts";
import { type FaultCode, fault } from "../../protocol/faults.ts";
import { newId } from "../../protocol/ids.ts";
import { extendLeases } from "../store/leases.ts";
import { startRunLoops } from "./loops.ts";
import { OUTAGE_MS, reap } from "./reap.ts";

const RECOVERY_MS = 60_000;

/** Moves a run's lease in time; only the database's clock counts. */
async function expireLease({ services }: TestServer, run: string, secondsAgo: number): Promise<void> {
  await services.database.pool.query(
    "UPDATE runs SET lease_expires_at = now() - make_interval(secs => $2) WHERE id = $1",
    [run, secondsAgo],
  );
}

async function setCapabilities({ services }: TestServer, worker: string, change: object): Promise<void> {
  await services.database.pool.query("UPDATE workers SET capabilities = $2 WHERE id = $1", [
    worker,
    { ...TEST_CAPABILITIES, ...change },
  ]);
}

test("two claims at the same time give a run to one of two workers, also from two replicas", async (t) => {
  const server = await runServer(t);
  const replica = await runServer(t, { url: server.services.database.url });
  for (let round = 0; round < 10; round++) {
    const workers = [await testWorker(server, { pool: `p${round}` }), await testWorker(replica, { pool: `p${round}` })];
    const { id } = await submit(server, { pool: `p${round}` });
    const answers = await Promise.all(workers.map((worker) => poll(worker)));
    const given = answers.flatMap((answer) => answer.json().assignments as Assignment[]);
    assert.deepEqual(
      given.map(({ run, epoch }) => `${run} ${epoch}`),
      [`${id} 1`],
    );
  }
});

test("a poll that waits is answered when a run is submitted at another replica", async (t) => {
  const server = await runServer(t);
  const replica = await runServer(t, { url: server.services.database.url });
  const worker = await testWorker(server);
  const begun = waitBegins(server);
  const waiting = poll(worker, { waitMs: 20_000 });
  await begun;
  const { id } = await submit(replica);
  assert.equal((await waiting).json().assignments[0].run, id);
});

test("a poll without anything to say ends when its time is over, and at once when its worker was replaced", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  assert.deepEqual((await poll(worker, { waitMs: 50 })).json(), { assignments: [], cancel: [], lost: [] });
  const begun = waitBegins(server);
  const waiting = poll(worker, { waitMs: 20_000 });
  await begun;
  await reboot(server, worker, []);
  server.services.wakeups.notify(`worker:${worker.id}`);
  const answer = await waiting;
  assert.equal(errorOf(answer).code, "stale_boot");
});

test("a worker is given only what fits its pool, labels, backends and slots, oldest first", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const elsewhere = await submit(server, { pool: "other" });
  const labelled = await submit(server, { labels: ["gpu"] });
  const docker = await submit(server, { backend: "docker" });
  assert.deepEqual((await poll(worker, { freeSlots: 9 })).json().assignments, []);
  for (const { id } of [elsewhere, labelled, docker])
    assert.equal((await showRun(server, id)).waiting?.possible, false);

  const fitting = [await submit(server, { backend: "process" }), await submit(server), await submit(server)];
  const draining = "UPDATE workers SET draining = $2 WHERE id = $1";
  await server.services.database.pool.query(draining, [worker.id, true]);
  assert.deepEqual((await poll(worker, { freeSlots: 9 })).json().assignments, []);
  assert.equal((await showRun(server, fitting[0]!.id)).waiting?.possible, true);
  await server.services.database.pool.query(draining, [worker.id, false]);
  assert.deepEqual((await poll(worker, { freeSlots: 0 })).json().assignments, []);
  const given = (await poll(worker, { freeSlots: 9 })).json().assignments as Assignment[];
  assert.deepEqual(
    given.map(({ run }) => run),
    fitting.slice(0, 2).map(({ id }) => id),
    "it has two slots",
  );
  const held = given.map(({ run, epoch }) => ({ run, epoch }));
  assert.deepEqual((await poll(worker, { freeSlots: 9, held })).json().assignments, []);

  await server.services.database.pool.query("UPDATE workers SET labels = '{gpu,linux}' WHERE id = $1", [worker.id]);
  await setCapabilities(server, worker.id, { slots: 9, backends: { docker: {}, process: {} } });
  const more = (await poll(worker, { freeSlots: 9, held })).json().assignments as Assignment[];
  assert.deepEqual(
    more.map(({ run }) => run),
    [labelled, docker, fitting[2]!].map(({ id }) => id),
  );
});

test("an assignment that was lost on its way comes again under the next epoch; one that was heard of does not", async (t) => {
  const server = await runServer(t);
  const { pool } = server.services.database;
  const worker = await testWorker(server);
  const { id } = await submit(server);
  await takeRun(worker);
  assert.deepEqual((await poll(worker)).json().assignments, [], "the answer may still be on its way");
  const later = () => pool.query("UPDATE run_leases SET granted_at = now() - interval '11 seconds'");
  await later();
  assert.deepEqual((await poll(worker, { held: [{ run: id, epoch: 1 }] })).json().assignments, []);
  const again = await takeRun(worker);
  assert.deepEqual([again.assignment.run, again.assignment.epoch], [id, 2]);
  await again.report({ type: "run.started", backend: "process" });
  await later();
  assert.deepEqual((await poll(worker)).json().assignments, []);
});

test("a run that its worker has dropped by itself is given up as soon as its lease ran out", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const { id } = await submit(server);
  const run = await takeRun(worker);
  await run.report({ type: "run.started", backend: "process" });
  await expireLease(server, id, 1);
  await server.services.database.pool.query("UPDATE workers SET last_seen_at = now() - interval '2 seconds'");
  assert.deepEqual((await reapNow(server, RECOVERY_MS)).released, []);
  assert.equal((await worker.call("POST", "/agent/heartbeat", { held: [] })).statusCode, 200);
  assert.deepEqual((await reapNow(server, RECOVERY_MS)).released, [{ run: id, epoch: 1 }]);
});

test("a run that is leased again keeps its committed steps, and goes on with the next attempt under the next epoch", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const { id } = await submit(server);
  const first = await takeRun(worker);
  const output = inlineOutput("text", "kept");
  await first.report(started("make"), succeeded("make", [output]), started("use"));

  const restarted = await reboot(server, worker, []);
  assert.equal(restarted.answer.statusCode, 200, restarted.answer.body);
  assert.deepEqual(restarted.answer.json().kept, []);
  const released = await showRun(server, id);
  assert.equal(released.state, "queued");
  assert.equal(released.worker, null);
  assert.equal((await showSteps(server, id)).get("use")?.attempts[0]?.state, "lost");

  const second = await takeRun(restarted.worker);
  assert.equal(second.assignment.epoch, 2);
  assert.deepEqual(second.assignment.prior, [
    {
      stepRun: "make",
      state: "succeeded",
      attempts: 1,
      faults: { own: 0, oom: 0, infrastructure: 0 },
      byCondition: false,
      items: null,
      outputs: { text: output.content },
    },
    {
      stepRun: "use",
      state: "pending",
      attempts: 1,
      faults: { own: 0, oom: 0, infrastructure: 1 },
      byCondition: false,
      items: null,
      outputs: {},
    },
  ]);
  const end = succeeded(
    "use",
    [],
    [{ name: "text", stepRun: "make", artifact: "text", digest: output.content.digest }],
  );
  const answer = await second.report(started("use", 2), { ...end, attempt: 2 } as typeof end, {
    type: "run.finished",
    state: "succeeded",
    fault: null,
  });
  assert.deepEqual(answer.json(), { ackedSeq: 3, cancel: null });
  assert.equal((await showRun(server, id)).state, "succeeded");
  const { items } = (await server.call("viewer", { url: `/runs/${id}/events` })).json();
  const stream = items.map(({ seq, body }: { seq: number; body: { type: string } }) => `${seq} ${body.type}`);
  assert.deepEqual(stream.slice(5, 8), ["6 run.released", "7 run.leased", "8 attempt.started"]);
});

test("how earlier attempts went wrong is handed over with the run, so that retry budgets hold across leases", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  await submit(server);
  const first = await takeRun(worker);
  const failing = (attempt: number, code: FaultCode) =>
    ({
      ...succeeded("make"),
      attempt,
      state: "failed",
      stepState: null,
      exitCode: 1,
      fault: fault(code, "…"),
    }) as const;
  const answer = await first.report(
    ...[started("make", 1), failing(1, "oom"), started("make", 2), failing(2, "stage-io")],
    ...[started("make", 3), failing(3, "exit-nonzero"), started("make", 4)],
  );
  assert.equal(answer.statusCode, 200, answer.body);
  const restarted = await reboot(server, worker, []);
  const second = await takeRun(restarted.worker);
  assert.deepEqual(
    second.assignment.prior.map(({ stepRun, attempts, faults }) => [stepRun, attempts, faults]),
    [["make", 4, { own: 2, oom: 1, infrastructure: 2 }]],
  );
});

test("a batch that was split before its worker was lost is not split again into something else, and ends with its items", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  await submit(server, {
    pipeline: `
name: batch
environment: { image: busybox }
steps:
  rows: { run: seq 2, outputs: { rows: { path: rows } } }
  each: { run: cat, batch: { over: rows.rows } }
`,
  });
  const first = await takeRun(worker);
  const split = { type: "step.expanded", stepRun: "each", items: 2 } as const;
  const rows = inlineOutput("rows", "1\n2\n");
  await first.report(started("rows"), succeeded("rows", [rows]), split, started("each[1]"), succeeded("each[1]"));
  const next = await reboot(server, worker, []);
  const second = await takeRun(next.worker);
  assert.deepEqual(
    second.assignment.prior.map(({ stepRun, state, items }) => [stepRun, state, items]),
    [
      ["rows", "succeeded", null],
      ["each", "running", 2],
      ["each[1]", "succeeded", null],
    ],
  );
  assert.match(errorOf(await second.report({ ...split, items: 3 })).message, /split into 2 items before/);
  const answer = await second.report(
    split,
    started("each[0]"),
    succeeded("each[0]"),
    { type: "step.finished", stepRun: "each", state: "succeeded", fault: null },
    { type: "run.finished", state: "succeeded", fault: null },
  );
  assert.equal(answer.statusCode, 200, answer.body);
});

test("a boot keeps what its journal holds and is told what it lost; the earlier boot may do nothing any more", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const held: Assignment[] = [];
  for (let index = 0; index < 2; index++) {
    await submit(server);
    held.push((await takeRun(worker, held)).assignment);
  }
  const [kept, dropped] = held as [Assignment, Assignment];
  await driver(worker, kept).report({ type: "run.started", backend: "process" });
  const unknown = { run: newId("run"), epoch: 3 };
  const journal = [{ run: kept.run, epoch: kept.epoch }, unknown];
  const { answer, worker: next } = await reboot(server, worker, journal);
  assert.deepEqual(answer.json().kept, [{ run: kept.run, epoch: 1, ackedSeq: 1, cancel: null }]);
  assert.deepEqual(answer.json().lost, [unknown]);
  assert.equal((await showRun(server, kept.run)).state, "running");
  assert.equal((await showRun(server, dropped.run)).state, "queued");
  for (const path of ["/agent/heartbeat", "/agent/poll", `/agent/runs/${kept.run}/events`]) {
    const refused = errorOf(await worker.call("POST", path, {}));
    assert.equal(refused.code, "stale_boot");
    assert.match(refused.advice ?? "", /one agent per worker/);
  }
  assert.equal((await next.call("POST", "/agent/heartbeat", { held: journal.slice(0, 1) })).statusCode, 200);
});

test("an agent older or newer than the server is refused when it boots, and told which of the two to update", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const boot = (apiVersion: number) =>
    worker.call("POST", "/agent/boot", {
      ...{ bootId: worker.bootId, agentVersion: "9.9.9", apiVersion, capabilities: TEST_CAPABILITIES, held: [] },
    });
  const newer = errorOf(await boot(AGENT_API_VERSION + 1));
  assert.equal(newer.code, "invalid_request");
  assert.match(newer.message, /Berth 9\.9\.9\) speaks version 2 of the agent API, this server version 1/);
  assert.match(newer.advice ?? "", /^Update the server/);
  const older = errorOf(await boot(AGENT_API_VERSION - 1));
  assert.match(older.message, /speaks version 0 of the agent API, this server version 1/);
  assert.match(older.advice ?? "", /^Update the agent/);
});

test("a heartbeat renews what is held, names what is lost, tells of cancels and of draining", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const { id } = await submit(server);
  await takeRun(worker);
  await expireLease(server, id, 100);
  assert.equal((await showRun(server, id)).worker?.unreachable, true);
  const lease = { run: id, epoch: 1 };
  const beat = await worker.call("POST", "/agent/heartbeat", { held: [lease, { run: id, epoch: 2 }] });
  assert.deepEqual(beat.json(), { extended: [lease], lost: [{ run: id, epoch: 2 }], cancel: [], draining: false });
  assert.equal((await showRun(server, id)).worker?.unreachable, false);

  await server.services.database.pool.query("UPDATE workers SET draining = true");
  await server.call("developer", { method: "POST", url: `/runs/${id}/cancel`, payload: { reason: "why not" } });
  const next = (await worker.call("POST", "/agent/heartbeat", { held: [lease] })).json();
  assert.deepEqual(next.cancel, [{ ...lease, by: "test-developer", reason: "why not", code: "cancelled" }]);
  assert.equal(next.draining, true);
});

test("a run that its agent ended is neither renewed nor lost: its last logs may still be on their way", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const { id } = await submit(server);
  const run = await takeRun(worker);
  await run.report(...chainEvents());
  const held = [{ run: id, epoch: 1 }];
  const beat = (await worker.call("POST", "/agent/heartbeat", { held })).json();
  assert.deepEqual([beat.extended, beat.lost], [[], []]);
  assert.deepEqual((await poll(worker, { held })).json().lost, []);
  const { answer } = await reboot(server, worker, held);
  assert.deepEqual(answer.json().kept, [{ run: id, epoch: 1, ackedSeq: 6, cancel: null }]);
});

test("a lease that ran out shows its worker as unreachable; only after the time of recovery is the run given up", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const { id } = await submit(server);
  const run = await takeRun(worker);
  await run.report(started("make"));

  await server.services.database.pool.query("UPDATE workers SET last_seen_at = now() - interval '1 hour'");
  await expireLease(server, id, 59);
  assert.deepEqual((await reapNow(server, RECOVERY_MS)).released, []);
  const waiting = await showRun(server, id);
  assert.deepEqual([waiting.state, waiting.worker?.unreachable], ["running", true]);

  await expireLease(server, id, 61);
  assert.deepEqual((await reapNow(server, RECOVERY_MS)).released, [{ run: id, epoch: 1 }]);
  const released = await showRun(server, id);
  assert.deepEqual([released.state, released.epoch], ["queued", 1]);
  const make = (await showSteps(server, id)).get("make");
  assert.deepEqual(
    [make?.state, make?.attempts[0]?.state, make?.attempts[0]?.fault?.code],
    ["pending", "lost", "node-lost"],
  );
  assert.equal(errorOf(await run.report(succeeded("make", [inlineOutput("text", "late")]))).code, "stale_epoch");
  assert.deepEqual((await reapNow(server, RECOVERY_MS)).released, []);
});

test("a lease renewed between the look and the act is not taken away", async (t) => {
  const server = await runServer(t);
  const { services } = server;
  const worker = await testWorker(server);
  const { id } = await submit(server);
  await takeRun(worker);
  await expireLease(server, id, 3600);
  // The heartbeat holds the row while the reaper looks; by the time it gets the row, the lease is renewed.
  const pass = await services.database.transaction(async (client) => {
    await client.query("UPDATE runs SET lease_expires_at = now() + interval '1 minute' WHERE id = $1", [id]);
    const reaping = reapNow(server, RECOVERY_MS);
    await lockIsAwaited(server);
    return { reaping };
  });
  assert.deepEqual((await pass.reaping).released, []);
  assert.equal((await showRun(server, id)).state, "running");
});

test("a server whose clock is wrong takes no lease away, and extends none for too long", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const { id } = await submit(server);
  await takeRun(worker);
  t.mock.timers.enable({ apis: ["Date"], now: Date.now() + 24 * 3_600_000 });
  assert.deepEqual((await reapNow(server, 0)).released, [], "a day ahead");
  t.mock.timers.setTime(0);
  const { pool } = server.services.database;
  await extendLeases(pool, worker.id, [{ run: id, epoch: 1 }]);
  const { rows } = await pool.query<{ seconds: number }>(
    "SELECT extract(epoch FROM lease_expires_at - now())::float8 AS seconds FROM runs WHERE id = $1",
    [id],
  );
  assert.ok(rows[0]!.seconds > 0 && rows[0]!.seconds <= LEASE_DURATION_MS / 1000, JSON.stringify(rows));
  await expireLease(server, id, 1);
  assert.equal((await reapNow(server, 0)).released.length, 1, "many years behind");
});

test("after an outage of the server every lease is extended before any is reaped", async (t) => {
  const server = await runServer(t);
  const { services } = server;
  const worker = await testWorker(server);
  const { id } = await submit(server);
  await takeRun(worker);
  await expireLease(server, id, 3600);
  await services.database.pool.query("UPDATE reaper SET passed_at = now() - make_interval(secs => $1)", [
    OUTAGE_MS / 1000 + 1,
  ]);
  assert.deepEqual(await reap(services, { recoveryAfterMs: RECOVERY_MS }), { extended: 1, released: [] });
  assert.equal((await showRun(server, id)).worker?.unreachable, false);
  await expireLease(server, id, 3600);
  assert.equal((await reapNow(server, RECOVERY_MS)).released.length, 1);
});

test("a server looks for lost workers by itself, until it is stopped", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const { id } = await submit(server);
  await takeRun(worker);
  await expireLease(server, id, 3600);
  await server.services.database.pool.query("UPDATE reaper SET passed_at = now()");
  const loops = startRunLoops(server.services, { recoveryAfterMs: RECOVERY_MS });
  t.after(() => loops[Symbol.asyncDispose]());
  await server.services.wakeups.wait([`run:${id}`], 20_000);
  assert.equal((await showRun(server, id)).state, "queued");
  await loops[Symbol.asyncDispose]();
  assert.deepEqual((await reapNow(server, RECOVERY_MS)).released, [], "nothing is left to do, and nobody does it");
});
