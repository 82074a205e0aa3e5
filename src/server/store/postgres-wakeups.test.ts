import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import pg from "pg";
import { testDatabase } from "../../../test/setup/database.ts";
import { openPostgresWakeups, type PostgresWakeups } from "./postgres-wakeups.ts";

const SILENT = { warn: () => {}, info: () => {} };
/** Longer than anything here takes: a wait that lasts this long was not woken. */
const LONG_MS = 20_000;

async function replicas(t: TestContext, count: number): Promise<{ url: string; all: PostgresWakeups[] }> {
  const { url } = await testDatabase(t);
  const all = await Promise.all(Array.from({ length: count }, () => openPostgresWakeups({ url, log: SILENT })));
  t.after(() => Promise.all(all.map((wakeups) => wakeups[Symbol.asyncDispose]())));
  return { url, all };
}

async function elapsed(work: Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work;
  return performance.now() - startedAt;
}

test("a topic notified on one replica wakes waiters on every replica, and only those of the topic", async (t) => {
  const { all } = await replicas(t, 3);
  const [first, second, third] = all as [PostgresWakeups, PostgresWakeups, PostgresWakeups];
  let otherWoken = false;
  const waitForOther = async () => {
    await third.wait(["run:other"], LONG_MS);
    otherWoken = true;
  };
  const other = waitForOther();
  const waits = [first.wait(["a", "queue"], LONG_MS), second.wait(["queue"], LONG_MS), third.wait(["queue"], LONG_MS)];
  first.notify("queue");
  assert.ok((await elapsed(Promise.all(waits))) < LONG_MS / 2);
  assert.equal(otherWoken, false);
  first.notify("run:other");
  await other;
});

test("a waiter of the same process does not wait for the database", async (t) => {
  const { all } = await replicas(t, 1);
  const wait = all[0]!.wait(["queue"], LONG_MS);
  all[0]!.notify("queue");
  // No answer of a server can arrive before this, in the very turn of the event loop.
  assert.equal(
    await Promise.race([wait.then(() => "woken"), new Promise((done) => process.nextTick(done, "asleep"))]),
    "woken",
  );
});

test("a wait ends by its time-out or its signal, and never rejects", async (t) => {
  const { all } = await replicas(t, 1);
  await all[0]!.wait(["queue"], 20);
  const controller = new AbortController();
  const wait = all[0]!.wait(["queue"], LONG_MS, controller.signal);
  controller.abort();
  assert.ok((await elapsed(wait)) < LONG_MS / 2);
  await all[0]!.wait(["queue"], LONG_MS, AbortSignal.abort());
});

test("thousands of notifications at once arrive, in a handful of messages", async (t) => {
  const { url, all } = await replicas(t, 2);
  const listener = new pg.Client({ connectionString: url });
  await listener.connect();
  t.after(() => listener.end());
  let messages = 0;
  const last = new Promise<void>((done) => {
    listener.on("notification", ({ payload }) => {
      messages++;
      if (payload?.split("\n").includes("last")) done();
    });
  });
  await listener.query("LISTEN berth_wakeups");
  const topics = Array.from({ length: 2_000 }, (_, index) => `run:${index}`);
  const waits = topics.map((topic) => all[1]!.wait([topic], LONG_MS));
  for (let round = 0; round < 5; round++) for (const topic of topics) all[0]!.notify(topic);
  assert.ok((await elapsed(Promise.all(waits))) < LONG_MS / 2);
  all[0]!.notify("last");
  await last;
  assert.ok(messages < 20, `${messages} messages`);
});

test("after a lost connection everybody is woken, and notifications arrive again", async (t) => {
  const { url, all } = await replicas(t, 2);
  const wait = all[0]!.wait(["queue"], LONG_MS);
  const killer = new pg.Client({ connectionString: url });
  await killer.connect();
  await killer.query(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'berth-wakeups' AND datname = current_database()",
  );
  await killer.end();
  assert.ok((await elapsed(wait)) < LONG_MS / 2);
  // One of the two may still be on its way back: a hint is repeated until it arrives.
  const again = all[0]!.wait(["queue"], LONG_MS);
  const repeat = setInterval(() => all[1]!.notify("queue"), 50);
  assert.ok((await elapsed(again)) < LONG_MS / 2);
  clearInterval(repeat);
});

test("disposing wakes every waiter", async (t) => {
  const { url } = await testDatabase(t);
  const wakeups = await openPostgresWakeups({ url, log: SILENT });
  const wait = wakeups.wait(["queue"], LONG_MS);
  await wakeups[Symbol.asyncDispose]();
  assert.ok((await elapsed(wait)) < LONG_MS / 2);
});
