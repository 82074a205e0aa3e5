import assert from "node:assert/strict";
import { test } from "node:test";
import { runServer, submit } from "../../../test/setup/run-fixture.ts";
import type { Queryable } from "./database.ts";
import { claimQueuedRuns, isRunWaiting, type Offer } from "./queue.ts";

const QUEUED = 10_000;

interface Plan {
  readonly "Node Type": string;
  readonly "Index Name"?: string;
  readonly "Actual Rows": number;
  readonly Plans?: readonly Plan[];
}

function* nodesOf(plan: Plan): Generator<Plan> {
  yield plan;
  for (const below of plan.Plans ?? []) yield* nodesOf(below);
}

test("a look at the queue and a claim read the front of it, in the order of its index, however long it is", async (t) => {
  const server = await runServer(t);
  const { id } = await submit(server);
  const { database } = server.services;
  // Those of another pool come first in the table.
  for (const pool of ["other", "default"]) {
    await database.pool.query(
      `INSERT INTO runs SELECT (jsonb_populate_record(r, jsonb_build_object('id', r.id || $3 || n, 'pool', $3,
         'number', length($3) * $2 + n, 'priority', n % 21 - 10))).*
       FROM runs r, generate_series(2, $2::integer) AS n WHERE r.id = $1`,
      [id, QUEUED, pool],
    );
  }
  await database.pool.query("ANALYZE runs");
  const offer: Offer = {
    ...{ project: server.project, pool: "default", labels: [], backends: ["process"], limiting: ["process"] },
    ...{ cpus: 4, memoryBytes: 2 ** 33, gpus: 0, diskBytes: 2 ** 36 },
  };
  const plans: Plan[] = [];
  await database.transaction(async (client) => {
    // The worker need not exist: nothing of it is kept.
    await client.query("SET LOCAL session_replication_role = replica");
    const explaining = {
      query: async (text: string, values: unknown[]) => {
        const { rows } = await client.query(`EXPLAIN (ANALYZE, FORMAT JSON) ${text}`, values);
        plans.push(rows[0]["QUERY PLAN"][0].Plan);
        return { rows: [] };
      },
    } as unknown as Queryable;
    await isRunWaiting(explaining, offer);
    await claimQueuedRuns(explaining, "wrk", offer, { limit: 2, left: [] });
    await client.query("ROLLBACK AND CHAIN");
  });
  const nodes = plans.flatMap((plan) => [...nodesOf(plan)]);
  assert.ok(!nodes.some((node) => node["Node Type"] === "Sort" && node["Actual Rows"] > 0), "the queue was sorted");
  const read = nodes.filter((node) => node["Index Name"] === "runs_queue").map((node) => node["Actual Rows"]);
  assert.deepEqual(read, [1, 2], "rows that the look and the claim read");
});
