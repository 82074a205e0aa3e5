import assert from "node:assert/strict";
import { test } from "node:test";
import type pg from "pg";
import { testDatabase } from "../../../test/setup/database.ts";
import { isDatabaseAway, toBerthError } from "../http/errors.ts";
import { Database } from "../store/database.ts";
import { connect } from "./connect.ts";

/** `once` would reject at the error that comes first. */
function endOf(client: pg.Client | pg.PoolClient): Promise<void> {
  return new Promise((done) => client.once("end", () => done()));
}

test("a connection that breaks while nothing is asked does not end the process; the next query says so", async (t) => {
  const { url } = await testDatabase(t);
  const client = await connect({ connectionString: url });
  const other = await connect({ connectionString: url });
  t.after(() => other.end());
  const { rows } = await client.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
  const ended = endOf(client);
  await other.query("SELECT pg_terminate_backend($1)", [rows[0]!.pid]);
  await ended;
  await assert.rejects(client.query("SELECT 1"), (error) => isDatabaseAway(error));
});

test("a connection that breaks inside a transaction, between two queries, is answered as an outage and not as a defect", async (t) => {
  const { url } = await testDatabase(t);
  await using database = new Database({ url });
  const broken = database.transaction(async (client) => {
    const { rows } = await client.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
    const ended = endOf(client);
    await database.pool.query("SELECT pg_terminate_backend($1)", [rows[0]!.pid]);
    await ended;
    await client.query("SELECT 1");
  });
  await assert.rejects(broken, (error) => toBerthError(error).code === "unavailable");
  const { rows } = await database.pool.query("SELECT 1 AS one");
  assert.deepEqual(rows, [{ one: 1 }], "the pool has forgotten the broken one");
});
