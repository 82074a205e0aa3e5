import assert from "node:assert/strict";
import { test } from "node:test";
import { TEST_CAPABILITIES, testServer, testWorker } from "../../../test/setup/server.ts";
import { allRoutes } from "./routes.ts";
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

test("how a worker's cache does is told as its agent told it last", async (t) => {
  const server = await testServer(t, (services) => allRoutes(services, "test"));
  const worker = await testWorker(server);
  const shown = async () => (await server.call("viewer", { url: `/workers/${worker.id}` })).json().cache;
  assert.equal(await shown(), null);
  const cache = { budgetBytes: 9, usedBytes: 8, blobs: 7, hits: 6, misses: 5, hitBytes: 4, fetchedBytes: 3 };
  const told = { ...cache, evictions: 2, evictedBytes: 1 };
  const capabilities = { ...TEST_CAPABILITIES, cache: told };
  assert.equal((await worker.call("POST", "/agent/heartbeat", { held: [], capabilities })).statusCode, 200);
  assert.deepEqual(await shown(), told);
});
