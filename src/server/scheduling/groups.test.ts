import assert from "node:assert/strict";
import { test } from "node:test";
import {
  CHAIN,
  driver,
  errorOf,
  lockIsAwaited,
  poll,
  reapNow,
  reboot,
  runServer,
  showRun,
  submit,
  takeRun,
} from "../../../test/setup/run-fixture.ts";
import { type TestServer, type TestWorker, testWorker } from "../../../test/setup/server.ts";
import { fault } from "../../protocol/faults.ts";
import type { CreateRunInput, RunDetail } from "../../protocol/resources.ts";
import { lockGroup } from "../store/groups.ts";
import { enforceDeadlines } from "./deadlines.ts";
import { startRunLoops } from "./loops.ts";
import { recordEvents } from "./record-events.ts";
import { ContractCache } from "./step-contracts.ts";

/** A pipeline of the group `g`, or what `concurrency` says. */
function grouped(name: string, concurrency = "g", more = ""): string {
  return CHAIN.replace("name: chain", `name: ${name}\nconcurrency: ${concurrency}\n${more}`);
}

async function tryToSubmit(server: TestServer, payload: CreateRunInput) {
  return server.call("developer", { method: "POST", url: "/runs", payload });
}

async function cancel(server: TestServer, run: string) {
  return server.call("developer", { method: "POST", url: `/runs/${run}/cancel` });
}

/** Which of these runs are held back, by a letter each: `h`eld back, `q`ueued with a place, else the state. */
async function standing(server: TestServer, ...runs: readonly RunDetail[]): Promise<string> {
  const shown = await Promise.all(runs.map(({ id }) => showRun(server, id)));
  return shown
    .map(({ state, concurrency }) => (concurrency?.heldBack ? "h" : state === "queued" ? "q" : state))
    .join(" ");
}

async function eventTypes(server: TestServer, run: string): Promise<string[]> {
  const { items } = (await server.call("viewer", { url: `/runs/${run}/events` })).json();
  return items.map(({ body }: { body: { type: string } }) => body.type);
}

const END = [
  { type: "run.started", backend: "process" },
  { type: "run.finished", state: "failed", fault: fault("agent-error", "for a test") },
] as const;

test("a group lets as many runs be taken as it has places, across pipelines, and passes each place on in order", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const first = await submit(server, { pipeline: grouped("one") });
  const second = await submit(server, { pipeline: grouped("two") });
  const third = await submit(server, { pipeline: grouped("one") });
  const urgent = await submit(server, { pipeline: grouped("two", "g", "priority: 5") });
  const other = await submit(server, { pipeline: grouped("one", "another") });
  assert.equal(await standing(server, first, second, third, urgent, other), "q h h h q");
  const held = await takeRun(worker);
  const otherHeld = await takeRun(worker, [{ run: first.id, epoch: 1 }]);
  assert.deepEqual([held.assignment.run, otherHeld.assignment.run], [first.id, other.id]);
  assert.deepEqual((await poll(worker, { held: [] })).json().assignments, []);

  const { waiting, concurrency } = await showRun(server, third.id);
  assert.deepEqual(concurrency, { group: "g", limit: 1, heldBack: true });
  assert.deepEqual(waiting?.place, {
    ...{ group: "g", limit: 1, before: 2 },
    holders: [{ id: first.id, name: "one#1", state: "running" }],
  });
  assert.equal(waiting?.summary, 'The group "g" has 1 place: one#1 holds a place, and 2 runs are before it.');

  const order = [urgent, second, third];
  let holder = held;
  for (const next of order) {
    assert.equal((await holder.report(...END)).statusCode, 200);
    assert.equal(await standing(server, next), "q");
    holder = await takeRun(worker, [{ run: other.id, epoch: 1 }]);
    assert.equal(holder.assignment.run, next.id);
  }
  assert.deepEqual((await eventTypes(server, third.id)).slice(0, 4), [
    "run.created",
    "run.held_back",
    "run.admitted",
    "run.leased",
  ]);
  assert.deepEqual(await eventTypes(server, first.id), ["run.created", "run.leased", "run.started", "run.finished"]);
});

test("parameters name the group, and a group that they leave blank is refused", async (t) => {
  const server = await runServer(t);
  const pipeline = grouped("deploy", "'to ${{ params.target }}'", "params: { target: { type: string } }");
  const to = async (target: string) => submit(server, { pipeline, params: { target } });
  const [prod, again, test_] = [await to("prod"), await to("prod"), await to("test")];
  assert.equal(await standing(server, prod, again, test_), "q h q");
  assert.equal((await showRun(server, test_.id)).concurrency?.group, "to test");
  const blank = grouped("deploy", "'${{ params.target }}'", "params: { target: { type: string } }");
  const answer = await tryToSubmit(server, { pipeline: blank, params: { target: " " } });
  assert.deepEqual([answer.statusCode, errorOf(answer).code], [422, "invalid_params"]);
  assert.match(errorOf(answer).problems![0]!.message, /the name of the group, .* is blank/);
});

test("a run holds its place until it has ended: while its worker is lost, and while it is being stopped", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const first = await submit(server, { pipeline: grouped("one") });
  const second = await submit(server, { pipeline: grouped("one") });
  const third = await submit(server, { pipeline: grouped("one") });
  await takeRun(worker);
  await server.services.database.pool.query(
    "UPDATE runs SET lease_expires_at = now() - interval '1 hour' WHERE id = $1",
    [first.id],
  );
  await reapNow(server, 1_000);
  assert.equal(await standing(server, first, second), "q h", "it is queued again, and keeps its place");
  await takeRun(worker);
  await cancel(server, first.id);
  assert.equal(await standing(server, first, second), "cancelling h");
  await server.services.database.pool.query(
    "UPDATE runs SET lease_expires_at = now() - interval '1 hour' WHERE id = $1",
    [first.id],
  );
  await reapNow(server, 1_000);
  assert.equal(await standing(server, first, second, third), "cancelled q h");
  const answer = await cancel(server, second.id);
  assert.equal(answer.json().state, "cancelled");
  assert.equal(await standing(server, second, third), "cancelled q");
});

const WAYS_TO_LOSE_A_WORKER = {
  "its agent is started again without it": async (server: TestServer, worker: TestWorker) => {
    await reboot(server, worker, []);
  },
  "its worker is removed": async (server: TestServer, worker: TestWorker) => {
    const answer = await server.call("operator", { method: "DELETE", url: `/workers/${worker.id}?force=true` });
    assert.equal(answer.statusCode, 200, answer.body);
  },
  "its worker never heard of it": async ({ services }: TestServer, worker: TestWorker) => {
    await services.database.pool.query("UPDATE run_leases SET granted_at = granted_at - interval '1 minute'");
    await poll(worker, { freeSlots: 0 });
  },
};

for (const [what, lose] of Object.entries(WAYS_TO_LOSE_A_WORKER)) {
  test(`a run that is being stopped passes its place on when ${what}`, async (t) => {
    const server = await runServer(t);
    const worker = await testWorker(server);
    const first = await submit(server, { pipeline: grouped("one") });
    const next = await submit(server, { pipeline: grouped("one") });
    await takeRun(worker);
    await cancel(server, first.id);
    assert.equal(await standing(server, first, next), "cancelling h");
    await lose(server, worker);
    assert.equal(await standing(server, first, next), "cancelled q");
  });
}

test("a run that is held back is cancelled at once, has a queueTimeout like any other, and gives up no place that it has not", async (t) => {
  const server = await runServer(t);
  const first = await submit(server, { pipeline: grouped("one") });
  const second = await submit(server, { pipeline: grouped("one") });
  const late = await submit(server, { pipeline: grouped("late", "g", "queueTimeout: 1h") });
  const last = await submit(server, { pipeline: grouped("one") });
  assert.equal((await cancel(server, second.id)).json().state, "cancelled");
  assert.deepEqual(await eventTypes(server, second.id), [
    "run.created",
    "run.held_back",
    "run.cancel_requested",
    "run.finished",
  ]);
  await server.services.database.pool.query(
    "UPDATE runs SET created_at = created_at - interval '2 hours' WHERE id = $1",
    [late.id],
  );
  await enforceDeadlines(server.services);
  const { state, fault: why } = await showRun(server, late.id);
  assert.deepEqual([state, why?.code], ["failed", "deadline-queue"]);
  assert.match(why!.message, /no place in the group "g" within its queueTimeout of 3600 s/);
  assert.equal(await standing(server, first, last), "q h");
});

test("a queued run whose time is up gives its place to the next", async (t) => {
  const server = await runServer(t);
  const first = await submit(server, { pipeline: grouped("one", "g", "queueTimeout: 1h") });
  const next = await submit(server, { pipeline: grouped("one") });
  await server.services.database.pool.query(
    "UPDATE runs SET created_at = created_at - interval '2 hours' WHERE id = $1",
    [first.id],
  );
  await enforceDeadlines(server.services);
  assert.equal(await standing(server, first, next), "failed q");
});

test("policy cancel_older: a newer run cancels those before it, which say so, and starts when they have ended", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const newest = grouped("newest", "{ group: g, policy: cancel_older }");
  const first = await submit(server, { pipeline: newest });
  const run = await takeRun(worker);
  const second = await submit(server, { pipeline: newest });
  assert.equal(await standing(server, first, second), "cancelling h");
  const third = await submit(server, { pipeline: newest });
  assert.equal(await standing(server, first, second, third), "cancelling cancelled h");
  const { cancel: facts, fault: why } = await showRun(server, second.id);
  assert.equal(facts?.by, "the newer run newest#3");
  assert.equal(why?.message, 'The run was cancelled by the newer run newest#3: it takes the place in the group "g".');
  const told = (await poll(worker, { held: [{ run: first.id, epoch: 1 }] })).json().cancel;
  assert.deepEqual(told, [
    {
      ...{ run: first.id, epoch: 1, by: "the newer run newest#2", code: "cancelled" },
      reason: 'it takes the place in the group "g"',
    },
  ]);
  const end = await run.report(END[0], {
    type: "run.finished",
    state: "cancelled",
    fault: fault("cancelled", "stopped"),
  });
  assert.equal(end.statusCode, 200, end.body);
  assert.equal(await standing(server, first, third), "cancelled q");
});

test("policy cancel_older with several places keeps the newest that have room", async (t) => {
  const server = await runServer(t);
  const pipeline = grouped("pair", "{ group: g, limit: 2, policy: cancel_older }");
  const runs = [];
  for (let index = 0; index < 4; index++) runs.push(await submit(server, { pipeline }));
  assert.equal(await standing(server, ...runs), "cancelled cancelled q q");
});

test("policy refuse: while the places are taken no run is made, and the answer names who holds them", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const pipeline = grouped("single", "{ group: g, policy: refuse }");
  const first = await submit(server, { pipeline });
  const refused = await tryToSubmit(server, { pipeline });
  const error = errorOf(refused);
  assert.deepEqual([refused.statusCode, error.code], [409, "group_busy"]);
  assert.equal(error.message, 'The group "g" is busy: its places are held by single#1.');
  assert.deepEqual(error.details, {
    group: "g",
    limit: 1,
    runs: [{ id: first.id, name: "single#1", state: "queued" }],
  });
  assert.equal((await server.call("viewer", { url: "/runs" })).json().items.length, 1);
  await (await takeRun(worker)).report(...END);
  assert.equal((await submit(server, { pipeline })).number, 2, "what was refused took no number");
});

test("the same request key many times at once makes one run of a group that refuses", async (t) => {
  const server = await runServer(t);
  const pipeline = grouped("single", "{ group: g, policy: refuse }");
  const made = await Promise.all(Array.from({ length: 8 }, () => submit(server, { pipeline, requestKey: "k" })));
  assert.equal(new Set(made.map(({ id }) => id)).size, 1);
});

test("a restart goes through the same gate", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const restart = (run: string) => server.call("developer", { method: "POST", url: `/runs/${run}/restart` });
  const queueing = await submit(server, { pipeline: grouped("one") });
  await (await takeRun(worker)).report(...END);
  const refusing = await submit(server, { pipeline: grouped("single", "{ group: g, policy: refuse }") });
  const again = await restart(queueing.id);
  assert.deepEqual([again.statusCode, again.json().concurrency.heldBack], [201, true], again.body);
  await (await takeRun(worker)).report(...END);
  const refused = await restart(refusing.id);
  assert.deepEqual([refused.statusCode, errorOf(refused).code], [409, "group_busy"]);
  assert.equal(await standing(server, again.json()), "q");
});

test("a place that nobody passed on, because a server died, is given by the next pass of any server", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const first = await submit(server, { pipeline: grouped("one") });
  const next = await submit(server, { pipeline: grouped("one") });
  await takeRun(worker);
  // The end is committed; what the route does after that does not happen.
  const holder = { project: server.project, worker: worker.id, run: first.id, epoch: 1 };
  const events = END.map((body, index) => ({ seq: index + 1, at: new Date().toISOString(), body }));
  assert.equal((await recordEvents(server.services, new ContractCache(), holder, events)).ended, true);
  assert.equal(await standing(server, next), "h");
  await using _ = startRunLoops(server.services);
  const deadline = AbortSignal.timeout(20_000);
  while ((await standing(server, next)) !== "q") deadline.throwIfAborted();
});

test("whoever makes a run of a group waits until another has made its own, also at another server", async (t) => {
  const server = await runServer(t);
  const replica = await runServer(t, { url: server.services.database.url });
  const go = Promise.withResolvers<void>();
  const locked = Promise.withResolvers<void>();
  const slow = server.services.database.transaction(async (client) => {
    await lockGroup(client, { project: server.project, group: "g" });
    locked.resolve();
    await go.promise;
  });
  await locked.promise;
  let made = false;
  const submitted = submit(replica, { pipeline: grouped("one") }).then((run) => {
    made = true;
    return run;
  });
  try {
    await submit(replica, { pipeline: grouped("one", "another") });
    await lockIsAwaited(server, AbortSignal.timeout(20_000));
    assert.equal(made, false);
  } finally {
    go.resolve();
    await slow;
  }
  assert.equal(await standing(server, await submitted), "q");
});

test("two servers that make, end and cancel runs of a group at the same time never let more be at work than it has places", async (t) => {
  const server = await runServer(t);
  const replica = await runServer(t, { url: server.services.database.url });
  const servers = [server, replica];
  const LIMIT = 2;
  // Of pipelines of their own: runs of one pipeline are made one after another anyway.
  const made = await Promise.all(
    Array.from({ length: 24 }, (_, index) =>
      submit(servers[index % 2]!, { pipeline: grouped(`p${index}`, `{ group: g, limit: ${LIMIT} }`) }),
    ),
  );
  const placed = await server.services.database.pool.query("SELECT FROM runs WHERE NOT held_back");
  assert.equal(placed.rowCount, LIMIT, "right after they were made");

  const deadline = AbortSignal.timeout(60_000);
  let [atWork, most, ended] = [0, 0, 0];
  const work = async (index: number) => {
    const worker = await testWorker(servers[index % 2]!);
    while (ended < made.length) {
      deadline.throwIfAborted();
      const { assignments } = (await poll(worker)).json();
      if (assignments.length === 0) continue;
      most = Math.max(most, ++atWork);
      const run = driver(worker, assignments[0]);
      assert.equal((await run.report(END[0])).statusCode, 200);
      // It is at work no longer once its end is on its way.
      atWork--;
      assert.equal((await run.report(END[1])).statusCode, 200);
      ended++;
      const { rows } = await server.services.database.pool.query<{ count: number }>(
        "SELECT count(*)::integer AS count FROM runs WHERE state IN ('queued', 'running', 'cancelling') AND NOT held_back",
      );
      assert.ok(rows[0]!.count <= LIMIT, `${rows[0]!.count} runs have places`);
    }
  };
  const cancelSome = async () => {
    for (const { id } of made.slice(20)) if ((await cancel(replica, id)).json().state === "cancelled") ended++;
  };
  await Promise.all([work(0), work(1), work(2), cancelSome()]);
  assert.ok(most >= 1 && most <= LIMIT, `${most} at once`);
  const states = await Promise.all(made.map(({ id }) => showRun(server, id)));
  assert.ok(states.every(({ state }) => state === "failed" || state === "cancelled"));
});
