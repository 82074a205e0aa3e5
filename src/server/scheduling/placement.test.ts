import assert from "node:assert/strict";
import { test } from "node:test";
import { poll, runServer, submit, waitBegins } from "../../../test/setup/run-fixture.ts";
import { TEST_CAPABILITIES, type TestServer, type TestWorker, testWorker } from "../../../test/setup/server.ts";
import type { Assignment, LeaseRef } from "../../protocol/agent-api.ts";
import type { Offer } from "../store/queue.ts";
import { choosePlacement, YIELD_MS } from "./placement.ts";

const WAIT_MS = 20_000;
const GiB = 1024 ** 3;
const OFFER = {
  ...{ pool: "default", labels: [], backends: ["process"], limiting: ["process"] },
  ...{ cpus: 2, memoryBytes: 2 * GiB, gpus: 0, diskBytes: 8 * GiB },
};

/** What a worker without a server would be told: which of the waiting runs it leaves, and how many it takes. */
async function choiceOf(server: TestServer, { id }: TestWorker, held: number, offer: Partial<Offer> = {}) {
  const asking = { worker: id, held, free: 9 - held };
  return choosePlacement(server.services.database.pool, { project: server.project, ...OFFER, ...offer }, asking);
}

async function set({ services }: TestServer, { id }: TestWorker, change: string): Promise<void> {
  await services.database.pool.query(`UPDATE workers SET ${change} WHERE id = $1`, [id]);
}

/** As if its poll were held open at another replica, which never looks for it. */
async function asks(server: TestServer, worker: TestWorker, held = 0): Promise<void> {
  await server.services.database.pool.query(
    `INSERT INTO worker_polls (worker_id, open_until, held, free) VALUES ($1, now() + interval '1 minute', $2, $3)
     ON CONFLICT (worker_id) DO UPDATE SET open_until = excluded.open_until, held = excluded.held, free = excluded.free`,
    [worker.id, held, 9 - held],
  );
}

function runsIn(answer: Awaited<ReturnType<typeof poll>>): LeaseRef[] {
  assert.equal(answer.statusCode, 200, answer.body);
  return (answer.json().assignments as Assignment[]).map(({ run, epoch }) => ({ run, epoch }));
}

test("a run goes to the idle one of two workers that ask, whichever looks first", async (t) => {
  const server = await runServer(t);
  const [idle, busy] = [await testWorker(server), await testWorker(server)];
  await submit(server);
  const held = runsIn(await poll(busy));
  for (let round = 0; round < 5; round++) {
    const waits = [];
    for (const [worker, holds] of [[busy, held] as const, [idle, []] as const]) {
      const begun = waitBegins(server);
      waits.push(poll(worker, { held: holds, waitMs: WAIT_MS }));
      await begun;
    }
    const { id } = await submit(server);
    assert.deepEqual(
      runsIn(await waits[1]!).map(({ run }) => run),
      [id],
    );
    await server.services.database.pool.query("UPDATE runs SET state = 'succeeded' WHERE id = $1", [id]);
    const { id: own } = await submit(server);
    assert.deepEqual(
      runsIn(await waits[0]!).map(({ run }) => run),
      [own],
      "nobody else asks now",
    );
    await server.services.database.pool.query("UPDATE runs SET state = 'succeeded' WHERE id = $1", [own]);
  }
});

test("a worker that asks alone leaves nothing and takes all that it can; so it does beside workers that are no better", async (t) => {
  const server = await runServer(t);
  const [me, other] = [await testWorker(server), await testWorker(server)];
  const gpu = `name: g\nenvironment: { image: x }\nsteps: { s: { run: x, resources: { memory: 1GiB } } }`;
  for (const pipeline of [undefined, gpu]) await submit(server, pipeline === undefined ? {} : { pipeline });
  const alone = { left: [], limit: 8 };
  assert.deepEqual(await choiceOf(server, me, 1), alone);

  const cases: [string, string][] = [
    ["it is draining", "draining = true"],
    ["it was not heard of", "last_seen_at = now() - interval '2 minutes'"],
    ["it was removed", "removed_at = now()"],
    ["it is in another pool", "pool = 'other'"],
  ];
  for (const change of ["open_until = now() - interval '1 s'", "free = 0"]) {
    await asks(server, other);
    await server.services.database.pool.query(`UPDATE worker_polls SET ${change} WHERE worker_id = $1`, [other.id]);
    assert.deepEqual(await choiceOf(server, me, 1), alone, change);
  }
  const fresh = "draining = false, last_seen_at = now(), removed_at = NULL, pool = 'default'";
  for (const [why, change] of cases) {
    await asks(server, other);
    await set(server, other, change);
    assert.deepEqual(await choiceOf(server, me, 1), alone, why);
    await set(server, other, fresh);
  }

  // These ask, but are no better place: one run after the other is taken, and none is left.
  for (const [why, held, change] of [
    ["it holds as much", 1, "draining = false"],
    ["it has no backend that works", 0, `capabilities = capabilities || '{"backends": {}}'`],
    ["it lacks a label", 0, "draining = false"],
    ["it has too few cores", 0, `capabilities = capabilities || '{"cpus": 0.1}'`],
  ] as const) {
    await asks(server, other, held);
    const { rows } = await server.services.database.pool.query("SELECT capabilities FROM workers WHERE id = $1", [
      other.id,
    ]);
    await set(server, other, change);
    const pipeline = "name: c\nenvironment: { image: x }\nsteps: { s: { run: x, resources: { cpu: 1 } } }";
    const labels = why === "it lacks a label" ? ["fast"] : [];
    await server.services.database.pool.query("DELETE FROM runs");
    await submit(server, { pipeline, labels });
    assert.deepEqual(await choiceOf(server, me, 1, { labels }), { left: [], limit: 1 }, why);
    await server.services.database.pool.query("UPDATE workers SET capabilities = $2 WHERE id = $1", [
      other.id,
      rows[0].capabilities,
    ]);
  }
});

test("idle comes before warm, warm before less loaded, and less loaded before more", async (t) => {
  const server = await runServer(t);
  const [me, other] = [await testWorker(server), await testWorker(server)];
  const warm = async (worker: TestWorker) => {
    const { id } = await submit(server);
    await server.services.database.pool.query("UPDATE runs SET state = 'succeeded', worker_id = $2 WHERE id = $1", [
      id,
      worker.id,
    ]);
  };
  const forgotten = () => server.services.database.pool.query("UPDATE runs SET worker_id = NULL");
  const { id } = await submit(server);
  const leaves = async (mine: number, theirs: number) => {
    await asks(server, other, theirs);
    return (await choiceOf(server, me, mine)).left.includes(id);
  };
  // The run that waits is the newest of its pipeline.
  const newest = () => server.services.database.pool.query("UPDATE runs SET number = number + 100 WHERE id = $1", [id]);
  await newest();
  assert.deepEqual([await leaves(0, 0), await leaves(1, 0), await leaves(0, 1)], [false, true, false]);
  assert.deepEqual([await leaves(2, 1), await leaves(1, 2)], [true, false], "by load");
  await warm(other);
  await newest();
  assert.equal(await leaves(0, 0), true, "both are idle, and it is warm");
  assert.equal(await leaves(1, 2), true, "warm, although it has more to do");
  assert.equal(await leaves(0, 1), false, "idle comes first");
  await warm(me);
  await newest();
  assert.deepEqual([await leaves(0, 0), await leaves(1, 2), await leaves(2, 1)], [false, false, true], "both are warm");
  await forgotten();
  await warm(me);
  await newest();
  assert.equal(await leaves(1, 0), true, "idle comes before warm");
});

test("a GPU that is promised makes no better place", async (t) => {
  const server = await runServer(t);
  const [me, other] = [await testWorker(server), await testWorker(server)];
  const capabilities = { ...TEST_CAPABILITIES, gpus: [{ id: "g", model: "test", memoryBytes: 0 }], slots: 9 };
  await server.services.database.pool.query("UPDATE workers SET capabilities = $1", [JSON.stringify(capabilities)]);
  const pipeline = "name: g\nenvironment: { image: x }\nsteps: { s: { run: x, resources: { gpu: 1 } } }";
  await submit(server, { pipeline });
  const [promised] = runsIn(await poll(other));
  const { id } = await submit(server, { pipeline });
  await asks(server, other);
  assert.deepEqual((await choiceOf(server, me, 1, { gpus: 1 })).left, []);
  await server.services.database.pool.query("UPDATE runs SET state = 'succeeded' WHERE id = $1", [promised!.run]);
  assert.deepEqual((await choiceOf(server, me, 1, { gpus: 1 })).left, [id]);
});

test("a better worker that asks and does not come is waited for a moment only, and other runs are not held up", async (t) => {
  const server = await runServer(t);
  const [me, other] = [await testWorker(server), await testWorker(server)];
  await submit(server);
  const held = runsIn(await poll(me));
  await asks(server, other);
  const { id } = await submit(server);
  const startedAt = performance.now();
  assert.deepEqual(
    runsIn(await poll(me, { held, waitMs: WAIT_MS })).map(({ run }) => run),
    [id],
  );
  const tookMs = performance.now() - startedAt;
  assert.ok(tookMs >= YIELD_MS - 5 && tookMs < WAIT_MS / 2, `${tookMs} ms`);
});

test("runs that wait are spread over the workers that ask: each takes one, and leaves the next to those that have less", async (t) => {
  const server = await runServer(t);
  const workers = [await testWorker(server), await testWorker(server), await testWorker(server)];
  const capabilities = { ...TEST_CAPABILITIES, slots: 9 };
  await server.services.database.pool.query("UPDATE workers SET capabilities = $1", [JSON.stringify(capabilities)]);
  for (let index = 0; index < 6; index++) await submit(server);
  for (const worker of workers) await asks(server, worker);
  for (const round of [1, 2]) {
    for (const worker of workers) {
      // What it holds, and that it asks again in a moment, is known without another poll of it.
      assert.equal((await choiceOf(server, worker, round - 1)).left.length, 0, "it has no more than the others");
      const before = round === 1 ? [] : await heldBy(server, worker);
      assert.equal(
        runsIn(await poll(worker, { freeSlots: 9 - before.length, held: before, waitMs: WAIT_MS })).length,
        1,
      );
      assert.equal((await choiceOf(server, worker, round)).left.length > 0, worker !== workers.at(-1));
      await asks(server, worker, round);
    }
  }
});

async function heldBy({ services }: TestServer, { id }: TestWorker): Promise<LeaseRef[]> {
  const { rows } = await services.database.pool.query<LeaseRef>(
    "SELECT id AS run, epoch FROM runs WHERE worker_id = $1 AND state = 'running'",
    [id],
  );
  return rows;
}

test("a worker that was given a run and would take more counts as asking for a moment, with that run; else it does not", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const asking = async () => {
    const { rows } = await server.services.database.pool.query(
      "SELECT open_until IS NOT NULL AS asks, held, free FROM worker_polls WHERE worker_id = $1",
      [worker.id],
    );
    return rows[0];
  };
  await submit(server);
  const held = runsIn(await poll(worker, { freeSlots: 2, waitMs: WAIT_MS }));
  assert.deepEqual(await asking(), { asks: true, held: 1, free: 1 });
  await submit(server);
  assert.equal(runsIn(await poll(worker, { freeSlots: 1, held, waitMs: WAIT_MS })).length, 1);
  assert.equal((await asking()).asks, false, "it has no slot left");
  const begun = waitBegins(server);
  const waits = poll(worker, { freeSlots: 1, held, waitMs: 400 });
  await begun;
  assert.deepEqual(await asking(), { asks: true, held: 1, free: 1 });
  assert.deepEqual(runsIn(await waits), []);
  assert.equal((await asking()).asks, false, "its time was over");
});
