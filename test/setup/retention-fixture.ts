import assert from "node:assert/strict";
import { type CollectOptions, collect } from "../../src/server/scheduling/collect.ts";
import { inlineOutput, started, submit, succeeded, takeRun } from "./run-fixture.ts";
import type { TestServer, TestWorker } from "./server.ts";

/** A pipeline with one step that makes one artifact, `NAME/make/out`; `more` is at its top level. */
export function producer(name: string, more = "", output = ""): string {
  return `name: ${name}
environment: { image: busybox }
${more}
steps: { make: { run: x, outputs: { out: { path: out.txt${output} } } } }
`;
}

/** Runs a producer to its end, with this content, and returns the id of its run. */
export async function produce(server: TestServer, worker: TestWorker, pipeline: string, text: string): Promise<string> {
  const { id } = await submit(server, { pipeline });
  const answer = await (await takeRun(worker)).report(
    { type: "run.started", backend: "process" },
    started("make"),
    succeeded("make", [inlineOutput("out", text)]),
    { type: "run.finished", state: "succeeded", fault: null },
  );
  assert.equal(answer.statusCode, 200, answer.body);
  return id;
}

/** Makes all versions, and the ends of all runs, so much older. */
export async function age({ services }: TestServer, days: number, where = "true"): Promise<void> {
  const { pool } = services.database;
  const by = `interval '${days} days'`;
  await pool.query(
    `UPDATE artifact_versions SET created_at = created_at - ${by}, expires_at = expires_at - ${by} WHERE ${where}`,
  );
  await pool.query(`UPDATE runs SET finished_at = finished_at - ${by}`);
  await pool.query(`UPDATE blobs SET unsure_since = unsure_since - ${by}`);
}

/** A whole pass, with nothing spared but by references. */
export async function collectNow({ services }: TestServer, more: Partial<CollectOptions> = {}) {
  return collect(services, { project: null, graceMs: 0, rest: 0, signal: new AbortController().signal, ...more });
}
