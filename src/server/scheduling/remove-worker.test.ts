import assert from "node:assert/strict";
import { test } from "node:test";
import {
  errorOf,
  poll,
  runServer,
  showRun,
  started,
  submit,
  takeRun,
  waitBegins,
} from "../../../test/setup/run-fixture.ts";
import { testWorker } from "../../../test/setup/server.ts";

const act = (method: "POST" | "DELETE", url: string) => ({ method, url });

test("a draining worker keeps its runs and is given none, until it is told to take runs again", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const { id: kept } = await submit(server);
  const run = await takeRun(worker);
  for (const _ of ["once", "and once more"]) {
    const drained = await server.call("operator", act("POST", `/workers/${worker.id}/drain`));
    assert.equal(drained.json().state, "draining");
    assert.equal(drained.json().held, 1);
  }
  const { id: waiting } = await submit(server);
  assert.deepEqual((await poll(worker, { held: [{ run: kept, epoch: 1 }] })).json().assignments, []);
  assert.equal((await run.report(started("make"))).statusCode, 200);
  assert.match((await showRun(server, waiting)).waiting!.summary, /takes no further runs/);
  const back = await server.call("operator", act("POST", `/workers/${worker.id}/undrain`));
  assert.equal(back.json().state, "online");
  const [assignment] = (await poll(worker, { held: [{ run: kept, epoch: 1 }] })).json().assignments;
  assert.equal(assignment.run, waiting);
});

test("a worker that holds runs is removed by force alone, and its runs go to another", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const { id } = await submit(server);
  const run = await takeRun(worker);
  const refused = await server.call("operator", act("DELETE", `/workers/${worker.id}`));
  assert.equal(refused.statusCode, 409);
  assert.match(errorOf(refused).message, /holds chain#1/);
  assert.equal((await run.report(started("make"))).statusCode, 200, "nothing changed for it");

  const removed = await server.call("operator", act("DELETE", `/workers/${worker.id}?force=true`));
  assert.deepEqual(removed.json(), { released: [id] });
  assert.equal((await showRun(server, id)).state, "queued");
  assert.equal(errorOf(await run.report(started("use"))).code, "unauthenticated");
  const again = await server.call("operator", act("DELETE", `/workers/${worker.id}?force=true`));
  assert.deepEqual(again.json(), { released: [] });
  assert.equal((await server.call("operator", act("POST", `/workers/${worker.id}/drain`))).statusCode, 404);
  const other = await takeRun(await testWorker(server));
  assert.deepEqual([other.assignment.run, other.assignment.epoch], [id, 2]);
});

test("a poll that waits while its worker is removed is told so, and how the machine is used again", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const begun = waitBegins(server);
  const waiting = poll(worker, { waitMs: 20_000 });
  await begun;
  await server.call("operator", act("DELETE", `/workers/${worker.id}`));
  server.services.wakeups.notify(`worker:${worker.id}`);
  const refused = errorOf(await waiting);
  assert.equal(refused.code, "not_found");
  assert.match(refused.advice ?? "", /`berth agent register` with a new token/);
});

test("an idle worker is removed, and its name is free again", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const removed = await server.call("operator", act("DELETE", `/workers/${worker.id}`));
  assert.deepEqual(removed.json(), { released: [] });
  assert.deepEqual((await server.call("viewer", { url: "/workers" })).json().items, []);
});
