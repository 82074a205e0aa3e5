import assert from "node:assert/strict";
import { test } from "node:test";
import { CHAIN, chainEvents, errorOf, runServer, submit, takeRun } from "../../../test/setup/run-fixture.ts";
import { apply, nightly } from "../../../test/setup/schedule-fixture.ts";
import { type TestServer, testWorker } from "../../../test/setup/server.ts";
import { firstIdOf } from "../../protocol/ids.ts";
import type { ListedRun } from "../../protocol/run-lists.ts";
import { LOOKED_AT_MAX } from "../store/run-lists.ts";

const SEEDED = CHAIN.replace("steps:", "params: { region: { type: string, default: eu } }\nsteps:").replace(
  "name: chain",
  "name: seeded",
);

async function page(server: TestServer, query: string): Promise<{ items: ListedRun[]; next: string | null }> {
  const answer = await server.call("viewer", { url: `/runs?${query}` });
  assert.equal(answer.statusCode, 200, answer.body);
  return answer.json();
}

async function namesOf(server: TestServer, query: string): Promise<string[]> {
  return (await page(server, query)).items.map(({ pipeline, number }) => `${pipeline}#${number}`);
}

test("runs are found by state, pipeline, worker, label, time, starter and text, and by several of these at once", async (t) => {
  const server = await runServer(t);
  const holder = await testWorker(server, { name: "holder" });
  await submit(server);
  await (await takeRun(holder)).report(...chainEvents());
  await submit(server, { pipeline: SEEDED, params: { region: "Überall 50%" }, labels: ["gpu", "fast"] });
  await submit(server, { pipeline: SEEDED });
  await apply(server, nightly());
  const { statusCode } = await server.call("developer", { method: "POST", url: "/schedules/chain/nightly/run" });
  assert.equal(statusCode, 201);
  const cases: readonly [query: string, ...names: string[]][] = [
    ["", "chain#2", "seeded#2", "seeded#1", "chain#1"],
    ["state=queued", "chain#2", "seeded#2", "seeded#1"],
    ["state=succeeded,queued&pipeline=chain", "chain#2", "chain#1"],
    ["pipeline=chain", "chain#2", "chain#1"],
    ["pipeline=nope"],
    ["worker=holder", "chain#1"],
    [`worker=${holder.id}&state=succeeded`, "chain#1"],
    ["worker=holder&state=failed"],
    ["label=gpu", "seeded#1"],
    ["label=gpu&label=fast", "seeded#1"],
    ["label=gpu&label=slow"],
    ["startedBy=person", "seeded#2", "seeded#1", "chain#1"],
    ["startedBy=schedule", "chain#2"],
    ["startedBy=schedule:chain/nightly", "chain#2"],
    ["startedBy=schedule:chain/daily"],
    ["text=EEDED%231", "seeded#1"],
    [`text=${encodeURIComponent("überall 50%")}`, "seeded#1"],
    ["text=%25", "seeded#1"],
    ["text=holder", "chain#1"],
    ["text=nightly", "chain#2"],
    ["text=_"],
  ];
  for (const [query, ...names] of cases) assert.deepEqual(await namesOf(server, query), names, query);
});

test("times are the database's: a run is since the moment at which it was submitted, and not until it", async (t) => {
  const server = await runServer(t);
  await submit(server);
  const second = await submit(server);
  // As if the clock of the server that made its id were behind.
  const { rows } = await server.services.database.pool.query<{ at: Date }>(
    `UPDATE runs SET created_at = date_trunc('milliseconds', created_at) + interval '30 minutes' WHERE id = $1
     RETURNING created_at AS at`,
    [second.id],
  );
  const at = rows[0]!.at.toISOString();
  assert.deepEqual(await namesOf(server, `since=${at}`), ["chain#2"]);
  assert.deepEqual(await namesOf(server, `until=${at}`), ["chain#1"]);
  const inParis = encodeURIComponent(new Date(Date.parse(at) + 7_200_001).toISOString().replace("Z", "+02:00"));
  assert.deepEqual(await namesOf(server, `until=${inParis}`), ["chain#2", "chain#1"]);
  assert.deepEqual(await namesOf(server, "until=0020-02-29T00:00:00Z"), []);
  assert.deepEqual(await namesOf(server, `since=${inParis}`), []);
});

test("what is no filter is refused with the place where it is wrong", async (t) => {
  const server = await runServer(t);
  for (const query of ["startedBy=nobody", "since=yesterday", "text=", "state=queued,nope", "label=a&colour=red"]) {
    const answer = await server.call("viewer", { url: `/runs?${query}` });
    assert.equal(answer.statusCode, 400, `${query}: ${answer.body}`);
    assert.match(errorOf(answer).problems![0]!.path, /^query/);
  }
});

test("a page of what is rare ends after so many runs were looked at, and says where the next one begins", async (t) => {
  const server = await runServer(t);
  const { id } = await submit(server, { pipeline: SEEDED, params: { region: "needle" } });
  const { pool } = server.services.database;
  const later = Date.now() + 1_000;
  const ids = Array.from({ length: LOOKED_AT_MAX + 10 }, (_, index) => firstIdOf("run", later + index));
  await pool.query(
    `INSERT INTO runs SELECT (jsonb_populate_record(r, jsonb_build_object('id', other.id, 'number', other.n + 1, 'params', '{}'::jsonb))).*
     FROM runs r, unnest($2::text[]) WITH ORDINALITY AS other (id, n) WHERE r.id = $1`,
    [id, ids],
  );
  const first = await page(server, "text=needle&limit=5");
  assert.deepEqual(first.items, []);
  assert.ok(first.next);
  const second = await page(server, `text=needle&limit=5&cursor=${first.next}`);
  assert.deepEqual([second.items.map((run) => run.id), second.next], [[id], null]);
  const full = await page(server, "text=seeded&limit=5");
  assert.deepEqual(
    full.items.map((run) => run.id),
    ids.slice(-5).reverse(),
  );
  const after = await page(server, `text=seeded&limit=5&cursor=${full.next}`);
  assert.deepEqual(
    after.items.map((run) => run.id),
    ids.slice(-10, -5).reverse(),
    "no run is left out or repeated",
  );
});

test("of each queued run the list says in a sentence why it waits", async (t) => {
  const server = await runServer(t);
  const grouped = CHAIN.replace("steps:", "concurrency: { group: one, limit: 1 }\nsteps:");
  const waitingOf = async () => (await page(server, "")).items.map(({ waiting }) => waiting);
  await submit(server, { pipeline: grouped });
  await submit(server, { pipeline: grouped });
  assert.deepEqual(await waitingOf(), [
    { summary: "No worker is registered.", possible: false },
    { summary: "No worker is registered.", possible: false },
  ]);
  const worker = await testWorker(server, { name: "here" });
  await takeRun(worker);
  const [heldBack, running] = await waitingOf();
  assert.deepEqual(heldBack, {
    summary: 'It waits for a place in the group "one", which has 1 place.',
    possible: true,
  });
  assert.equal(running, null);
});
