import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { chainEvents, errorOf, runServer, submit, takeRun } from "../../../test/setup/run-fixture.ts";
import { type TestServer, testToken, testWorker } from "../../../test/setup/server.ts";
import { RUN_CHANGES_MAX, type RunChanges } from "../../protocol/run-changes.ts";

async function changes(server: TestServer, after?: string): Promise<RunChanges> {
  const answer = await server.call("viewer", { url: `/runs/changes${after === undefined ? "" : `?after=${after}`}` });
  assert.equal(answer.statusCode, 200, answer.body);
  return answer.json();
}

/**
 * A cursor from which on nothing comes again that was told before: transactions that other tests have begun meanwhile hold
 * it back, because their numbers are those of the cluster.
 */
async function settled(server: TestServer): Promise<string> {
  let last = await changes(server, (await changes(server)).cursor);
  while (last.reset || last.runs.length > 0) {
    await sleep(50);
    last = await changes(server, last.cursor);
  }
  return last.cursor;
}

const statesOf = ({ runs }: RunChanges) => runs.map(({ number, state }) => [number, state]);

test("who asks since a cursor is told of each run that was made or has changed, as it is now", async (t) => {
  const server = await runServer(t);
  await submit(server);
  assert.deepEqual((await changes(server)).runs, [], "from now on");
  const begin = await settled(server);
  const worker = await testWorker(server);
  const run = await takeRun(worker);
  await submit(server);
  assert.deepEqual(statesOf(await changes(server, begin)), [
    [1, "running"],
    [2, "queued"],
  ]);
  const then = await settled(server);
  await run.report(...chainEvents());
  assert.deepEqual(statesOf(await changes(server, then)), [[1, "succeeded"]]);
});

test("a change is not missed whose transaction began before a look, and was committed after it", async (t) => {
  const server = await runServer(t);
  await submit(server);
  const cursor = await settled(server);
  const { database } = server.services;
  const slow = await database.pool.connect();
  await slow.query("BEGIN");
  await slow.query("UPDATE runs SET state = 'cancelled' WHERE number = 1");
  await submit(server);
  const meanwhile = await changes(server, cursor);
  assert.deepEqual(statesOf(meanwhile), [[2, "queued"]]);
  await slow.query("COMMIT");
  slow.release();
  assert.deepEqual(
    statesOf(await changes(server, meanwhile.cursor)).filter(([number]) => number === 1),
    [[1, "cancelled"]],
  );
});

test("heartbeats and events of a running run are no changes of it", async (t) => {
  const server = await runServer(t);
  await submit(server);
  const run = await takeRun(await testWorker(server));
  const cursor = await settled(server);
  await run.report(...chainEvents().slice(0, 3));
  await server.services.database.pool.query("UPDATE runs SET lease_expires_at = now() + interval '1 minute'");
  assert.deepEqual((await changes(server, cursor)).runs, []);
});

test("too much for one answer, and a cursor of another database, are answered with a reset", async (t) => {
  const server = await runServer(t);
  const { id } = await submit(server);
  const cursor = await settled(server);
  await server.services.database.pool.query(
    `INSERT INTO runs SELECT (jsonb_populate_record(r, jsonb_build_object('id', r.id || n, 'number', n + 1))).*
     FROM runs r, generate_series(1, $2::integer) AS n WHERE r.id = $1`,
    [id, RUN_CHANGES_MAX + 1],
  );
  await server.services.database.pool.query("UPDATE runs SET state = 'queued'");
  const many = await changes(server, cursor);
  assert.deepEqual([many.reset, many.runs], [true, []]);
  // Until the transactions have ended that other tests have begun meanwhile: numbers of transactions are the cluster's.
  await settled(server);
  assert.equal((await changes(server, "9".repeat(18))).reset, true);
  const wrong = await server.call("viewer", { url: "/runs/changes", headers: { "last-event-id": "yesterday" } });
  assert.equal(errorOf(wrong).code, "invalid_request");
});

test("the stream is told of changes as they come, each once, and goes on where it was cut off", async (t) => {
  const server = await runServer(t);
  const url = await server.app.listen({ host: "127.0.0.1", port: 0 });
  const token = await testToken(server.services, "viewer", server.project);
  const open = async (lastEventId: string | null) => {
    const stop = new AbortController();
    t.after(() => stop.abort());
    const headers = {
      ...{ authorization: `Bearer ${token}`, accept: "text/event-stream" },
      ...(lastEventId !== null && { "last-event-id": lastEventId }),
    };
    const answer = await fetch(`${url}/api/v1/runs/changes`, { headers, signal: stop.signal });
    assert.equal(answer.status, 200);
    const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    const until = async (pattern: RegExp) => {
      while (!pattern.test(text)) text += (await reader.read()).value;
      return text;
    };
    return { until, stop: () => stop.abort() };
  };
  const first = await open(null);
  await first.until(/event: ready/);
  await submit(server);
  const made = await first.until(/"state":"queued".*\n\n/);
  await takeRun(await testWorker(server));
  const taken = await first.until(/"state":"running".*\n\n/);
  assert.equal(taken.match(/event: run/g)?.length, 2, taken);
  first.stop();
  const cursor = [...made.matchAll(/^id: (\d+)$/gm)].at(-1)![1]!;
  const second = await open(cursor);
  const resumed = await second.until(/event: ready/);
  assert.match(resumed, /"state":"running"/);
  second.stop();
});
