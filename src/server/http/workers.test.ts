import assert from "node:assert/strict";
import { test } from "node:test";
import { testServer, testWorker } from "../../../test/setup/server.ts";
import { workerRoutes } from "./workers.ts";

test("a worker is online as long as it was heard of within the duration of a lease", async (t) => {
  const server = await testServer(t, workerRoutes);
  const { id } = await testWorker(server, { name: "alpha" });
  const pool = server.services.database.pool;
  const state = async () => (await server.call("viewer", { url: `/workers/${id}` })).json().state;
  assert.equal(await state(), "online");
  await pool.query("UPDATE workers SET draining = true");
  assert.equal(await state(), "draining");
  await pool.query("UPDATE workers SET last_seen_at = now() - interval '59 seconds', draining = false");
  assert.equal(await state(), "online");
  await pool.query("UPDATE workers SET last_seen_at = now() - interval '61 seconds'");
  assert.equal(await state(), "offline");
  await pool.query("UPDATE workers SET removed_at = now()");
  assert.equal((await server.call("viewer", { url: `/workers/${id}` })).statusCode, 404);
});

test("workers are listed by name, page by page", async (t) => {
  const server = await testServer(t, workerRoutes);
  for (const name of ["delta", "alpha", "charlie", "bravo"]) await testWorker(server, { name });
  const first = (await server.call("viewer", { url: "/workers?limit=3" })).json();
  const second = (await server.call("viewer", { url: `/workers?limit=3&cursor=${first.next}` })).json();
  const names = [...first.items, ...second.items].map((worker: { name: string }) => worker.name);
  assert.deepEqual(names, ["alpha", "bravo", "charlie", "delta"]);
  assert.equal(second.next, null);
});
