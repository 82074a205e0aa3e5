import assert from "node:assert/strict";
import { test } from "node:test";
import { runServer, submit } from "../../../test/setup/run-fixture.ts";
import { type TestServer, testWorker } from "../../../test/setup/server.ts";
import type { Queryable } from "./database.ts";
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

/** Runs what `work` asks of the database under EXPLAIN, and says how it was done. */
async function explained({ services }: TestServer, work: (db: Queryable) => Promise<unknown>): Promise<PlanNode> {
  let plan: PlanNode | undefined;
  await services.database.transaction(async (client) => {
    const query = async (given: string | { text: string; values: unknown[] }, params?: unknown[]) => {
      const { text, values } = typeof given === "string" ? { text: given, values: params! } : given;
      const { rows } = await client.query(`EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${text}`, values);
      plan = rows[0]["QUERY PLAN"][0].Plan;
      return { rows: [{}], rowCount: 1 };
    };
    await work({ query } as unknown as Queryable);
    await client.query("ROLLBACK");
  });
  assert.ok(plan);
  return plan;
}

function nodesOf(plan: PlanNode): PlanNode[] {
  return [plan, ...(plan.Plans ?? []).flatMap(nodesOf)];
}

/** Fills the queue with copies of a run, of every priority, in the order in which a queue grows. */
async function fill({ services }: TestServer, run: string): Promise<void> {
  await services.database.pool.query(
    `INSERT INTO runs (id, project_id, pipeline_id, pipeline_version, number, params, pool, labels, created_by, priority,
       created_at)
     SELECT 'run_' || lpad(n::text, 26, '0'), project_id, pipeline_id, pipeline_version, number + n, params, pool, labels,
       created_by, n % 21 - 10, created_at + n * interval '1 ms'
     FROM runs, generate_series(1, $2) AS n WHERE id = $1`,
    [run, QUEUED],
  );
}

test("a claim reads the front of the queue by its index, however long the queue is, with and without statistics", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const { id } = await submit(server);
  await fill(server, id);
  const offer: Offer = {
    ...{ project: server.project, pool: "default", labels: [], backends: ["process"] },
    ...{ cpus: 4, memoryBytes: 2 ** 33, gpus: 2, diskBytes: 2 ** 33 },
  };
  for (const analyze of [false, true]) {
    if (analyze) await server.services.database.pool.query("ANALYZE runs");
    const plans = {
      look: await explained(server, (db) => isRunWaiting(db, offer)),
      claim: await explained(server, (db) => claimQueuedRuns(db, worker.id, offer, 4)),
    };
    for (const [name, plan] of Object.entries(plans)) {
      const shown = JSON.stringify(plan, null, 1);
      const pages = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"];
      assert.ok(pages <= PAGES_MAX, `${name} read ${pages} pages: ${shown}`);
    }
    const nodes = nodesOf(plans.claim);
    assert.ok(
      nodes.some((node) => node["Index Name"] === "runs_queue"),
      JSON.stringify(plans.claim, null, 1),
    );
    assert.ok(!nodes.some((node) => node["Node Type"].includes("Sort")), JSON.stringify(plans.claim, null, 1));
  }
});
