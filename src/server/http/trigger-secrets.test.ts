import assert from "node:assert/strict";
import { test } from "node:test";
import { runServer } from "../../../test/setup/run-fixture.ts";
import { callHook, createTrigger } from "../../../test/setup/trigger-fixture.ts";

test("after the key was lost, a rotated trigger works with its new secret although its old one cannot be read", async (t) => {
  const server = await runServer(t);
  const trigger = await createTrigger(server, "push");
  // The same database, and another key: the old one is lost.
  const other = await runServer(t, { url: server.services.database.url });
  assert.equal((await callHook(other, trigger)).statusCode, 500);
  const rotated = await other.call("developer", { method: "POST", url: "/triggers/push/rotate", payload: {} });
  assert.equal(rotated.statusCode, 200, rotated.body);
  const answer = await callHook(other, rotated.json());
  assert.equal(answer.statusCode, 200, answer.body);
});

test("a trigger that is named like the id of another is never taken for that one", async (t) => {
  const server = await runServer(t);
  const first = await createTrigger(server, "zip");
  const other = await createTrigger(server, first.id, { params: { ref: '"of the other"' } });
  const rotated = await server.call("developer", { method: "POST", url: "/triggers/zip/rotate", payload: {} });
  const answer = await callHook(server, rotated.json(), { body: { ref: "v2" } });
  assert.equal(answer.statusCode, 200, answer.body);
  const run = (await server.call("viewer", { url: `/runs/${answer.json().run.id}` })).json();
  assert.deepEqual([run.params, run.startedBy.name], [{ ref: "v2" }, "zip"]);
  assert.equal((await server.call("viewer", { url: `/triggers/${first.id}` })).json().id, first.id);
  assert.equal((await server.call("viewer", { url: `/triggers/${other.id}` })).json().id, other.id);
});
