import assert from "node:assert/strict";
import { test } from "node:test";
import { age, collectNow } from "../../../test/setup/retention-fixture.ts";
import {
  inlineOutput,
  lockIsAwaited,
  runServer,
  started,
  submit,
  succeeded,
  takeRun,
} from "../../../test/setup/run-fixture.ts";
import { type TestServer, type TestWorker, testWorker } from "../../../test/setup/server.ts";
import type { AgentEventBody } from "../../protocol/events.ts";
import type { ArtifactVersion } from "../../protocol/resources.ts";
import { takeContents } from "../store/expiry.ts";
import { removeVersions } from "./remove-versions.ts";

const KEYS = ["make[n=1]", "make[n=2]"];

const matrix = (name: string, last: number) => `
name: ${name}
environment: { image: busybox }
retention: { last: ${last} }
steps: { make: { run: x, cache: true, matrix: { n: [1, 2] }, outputs: { out: { path: out.txt } } } }
`;

const record = (index: number) => ({ key: String(index + 1).repeat(64), components: { command: "x" } });

async function run(
  server: TestServer,
  worker: TestWorker,
  pipeline: string,
  eventsOf: (key: string, index: number) => AgentEventBody[],
): Promise<string> {
  const { id } = await submit(server, { pipeline });
  const held = await takeRun(worker);
  const answer = await held.report({ type: "run.started", backend: "process" }, ...KEYS.flatMap(eventsOf), {
    type: "run.finished",
    state: "succeeded",
    fault: null,
  });
  assert.equal(answer.statusCode, 200, answer.body);
  return id;
}

const made = (text: string) => (key: string, index: number) => [
  { ...started(key), cache: record(index) } as AgentEventBody,
  succeeded(key, [inlineOutput("out", `${text} ${key}`)]),
];

const cached = (from: string) => (key: string, index: number) => [
  {
    ...{ type: "step.cached" as const, stepRun: key, cache: record(index), from: { run: from, number: 1 } },
    outputs: [inlineOutput("out", `made ${key}`)].map(({ name, content }) => ({ name, content })),
  } as AgentEventBody,
];

async function itemsOf(server: TestServer, version: number): Promise<ArtifactVersion[]> {
  return (await server.call("viewer", { url: `/artifacts/p/make/out/${version}` })).json().items;
}

test("one of the newest versions that is made of cached results keeps them, by whichever run they were made", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const first = await run(server, worker, matrix("p", 1), made("made"));
  await run(server, worker, matrix("p", 1), cached(first));
  await age(server, 30);
  await collectNow(server);
  assert.deepEqual(
    (await itemsOf(server, 2)).map(({ expired }) => expired),
    [null, null],
  );
  const retention = await server.call("viewer", { url: "/artifacts/p/make/out/2/retention" });
  assert.deepEqual(
    retention.json().items.map(({ isNewest }: { isNewest: boolean }) => isNewest),
    [true, true],
  );
  await run(server, worker, matrix("p", 1), made("anew"));
  await age(server, 30);
  assert.equal((await collectNow(server)).expired, 2, "by now the newest is another");
});

test("a version of which nothing is there any more is none of the newest, also where it was made of cached results", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  await run(server, worker, matrix("p", 2), made("old"));
  const second = await run(server, worker, matrix("p", 2), made("made"));
  await run(server, worker, matrix("p", 2), cached(second));
  const remove = await server.call("developer", { method: "DELETE", url: "/artifacts/p/make/out/2" });
  assert.equal(remove.statusCode, 200, remove.body);
  await run(server, worker, matrix("p", 2), made("anew"));
  await age(server, 30);
  assert.equal((await collectNow(server)).expired, 0, "versions 1 and 4 are the last two that are there");
});

test("two who remove the last items of a version at the same time leave it as one that is gone", async (t) => {
  const server = await runServer(t);
  const { database } = server.services;
  const worker = await testWorker(server);
  const id = await run(server, worker, matrix("p", 2), made("made"));
  const { rows } = await database.pool.query<{ id: number; artifact: number; item: string }>(
    `SELECT id, artifact_id AS artifact, item FROM artifact_versions ORDER BY id`,
  );
  const [one, other] = rows;
  let removal: Promise<number> | undefined;
  await database.transaction(async (client) => {
    await client.query("SELECT FROM artifact_versions WHERE id = $1 FOR UPDATE", [one!.id]);
    await takeContents(client, [{ id: one!.id, by: "a rule" }]);
    const { artifact, item } = other!;
    const { project } = server;
    removal = removeVersions(database, {
      ...{ project, artifact, run: id, version: 1, item, name: "p/make/out/1", by: "somebody", force: false },
    });
    await Promise.race([removal, lockIsAwaited(server)]);
  });
  assert.equal(await removal, 1);
  const numbers = await database.pool.query("SELECT expired_at IS NOT NULL AS gone FROM artifact_runs");
  assert.deepEqual(numbers.rows, [{ gone: true }]);
});
