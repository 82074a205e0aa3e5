import assert from "node:assert/strict";
import { test } from "node:test";
import { runServer, submit } from "../../../test/setup/run-fixture.ts";
import { type TestServer, testWorker } from "../../../test/setup/server.ts";
import type { Queryable } from "./database.ts";
import { frontOf } from "./groups.ts";
import { claimQueuedRuns, isRunWaiting, type Offer } from "./queue.ts";

/** How long the queue is that a claim must not feel. */
const QUEUED = 10_000;
/** Pages of 8 KiB that a claim of four may touch: a few levels of each index, and rows. The whole queue has hundreds. */
const PAGES_MAX = 200;

interface PlanNode {
  readonly "Node Type": string;
  readonly "Index Name"?: string;
  readonly "Shared Hit Blocks": number;
  readonly "Shared Read Blocks": number;
  readonly Plans?: readonly PlanNode[];
}

/** Runs what `work` asks of the database under EXPLAIN, and says how each query was done. */
async function explained({ services }: TestServer, work: (db: Queryable) => Promise<unknown>): Promise<PlanNode[]> {
  const plans: PlanNode[] = [];
  await services.database.transaction(async (client) => {
    const query = async (given: string | { text: string; values: unknown[] }, params?: unknown[]) => {
      const { text, values } = typeof given === "string" ? { text: given, values: params! } : given;
      const { rows } = await client.query(`EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${text}`, values);
      plans.push(rows[0]["QUERY PLAN"][0].Plan);
      return { rows: [{}], rowCount: 1 };
    };
    await work({ query } as unknown as Queryable);
    await client.query("ROLLBACK");
  });
  return plans;
}

function nodesOf(plan: PlanNode): PlanNode[] {
  return [plan, ...(plan.Plans ?? []).flatMap(nodesOf)];
}

/** Fills the queue with copies of a run, of every priority, in the order in which a queue grows; with a group, held back. */
async function fill({ services }: TestServer, run: string, group: string | null = null): Promise<void> {
  await services.database.pool.query(
    `INSERT INTO runs (id, project_id, pipeline_id, pipeline_version, number, params, pool, labels, created_by, priority,
       created_at, concurrency_group, concurrency_limit, held_back)
     SELECT 'run_' || $4::text || lpad(n::text, 25, '0'), project_id, pipeline_id, pipeline_version, number + n + $5::integer, params, pool, labels,
       created_by, n % 21 - 10, created_at + n * interval '1 ms', $3::text, 1, $3 IS NOT NULL
     FROM runs, generate_series(1, $2) AS n WHERE id = $1`,
    [run, QUEUED, group, group === null ? "0" : "1", group === null ? 0 : QUEUED],
  );
}

function pagesOf(plans: readonly PlanNode[]): number {
  return plans.reduce((sum, plan) => sum + plan["Shared Hit Blocks"] + plan["Shared Read Blocks"], 0);
}

test("a claim reads the front of the queue by its index, however long the queue is, with and without statistics", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const { id } = await submit(server);
  // Those that are held back by a group are older, and no claim may have to pass them.
  await fill(server, id, "g");
  await fill(server, id);
  const offer: Offer = {
    ...{ project: server.project, pool: "default", labels: [], backends: ["process"], limiting: ["process"] },
    ...{ cpus: 4, memoryBytes: 2 ** 33, gpus: 2, diskBytes: 2 ** 33 },
  };
  for (const analyze of [false, true]) {
    if (analyze) await server.services.database.pool.query("ANALYZE runs");
    const look = await explained(server, (db) => isRunWaiting(db, offer));
    const claim = await explained(server, (db) => claimQueuedRuns(db, worker.id, offer, { limit: 4, left: [] }));
    for (const plans of [look, claim]) assert.ok(pagesOf(plans) <= PAGES_MAX, JSON.stringify(plans, null, 1));
    const nodes = claim.flatMap(nodesOf);
    const shown = JSON.stringify(claim, null, 1);
    assert.ok(
      nodes.some((node) => node["Index Name"] === "runs_queue"),
      shown,
    );
    assert.ok(!nodes.some((node) => node["Node Type"].includes("Sort")), shown);
  }
});

test("who gets the next place of a group is read from the front of its queue, however long that is", async (t) => {
  const server = await runServer(t);
  const { id } = await submit(server);
  await fill(server, id, "g");
  for (const analyze of [false, true]) {
    if (analyze) await server.services.database.pool.query("ANALYZE runs");
    const plans = await explained(server, (db) => frontOf(db, { project: server.project, group: "g" }));
    assert.equal(plans.length, 2);
    assert.ok(pagesOf(plans) <= PAGES_MAX, JSON.stringify(plans, null, 1));
  }
});
