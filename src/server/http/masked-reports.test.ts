import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { pino } from "pino";
import { runServer, started, submit, takeRun } from "../../../test/setup/run-fixture.ts";
import { type TestServer, testWorker } from "../../../test/setup/server.ts";
import type { AgentEventBody } from "../../protocol/events.ts";
import { fault } from "../../protocol/faults.ts";
import { localRing, NO_KEYS } from "../keys/key-ring.ts";
import { createSealer } from "../sealer.ts";

const CANARY = `canary-${randomBytes(12).toString("hex")}`;
const base64 = (text: string) => Buffer.from(text).toString("base64");

/** A run of which the first step has a secret, and the worker that holds it. */
async function runWithSecret(server: TestServer) {
  const payload = { name: "TOKEN", value: base64(CANARY) };
  assert.equal((await server.call("operator", { method: "POST", url: "/secrets", payload })).statusCode, 200);
  const worker = await testWorker(server);
  await submit(server);
  const held = await takeRun(worker);
  const { pool } = server.services.database;
  await pool.query(
    `UPDATE pipeline_versions SET plan = (SELECT jsonb_set(plan::jsonb, '{steps,0,secrets}', $1::jsonb))::json`,
    [JSON.stringify([{ name: "TOKEN", as: "file", variable: "TOKEN" }])],
  );
  return { worker, ...held };
}

/** What a worker of a defective agent may report. */
function failed(text: string): AgentEventBody {
  return {
    ...({ type: "attempt.finished", stepRun: "make", attempt: 1, state: "failed", stepState: "failed" } as const),
    ...{ exitCode: 1, signal: null, phases: {}, usage: {}, outputs: [], inputs: [], warnings: [`warned: ${text}`] },
    fault: fault("exit-nonzero", `said ${text}`, { evidence: `in base64: ${base64(text)}` }),
  };
}

async function everyRow(server: TestServer): Promise<string> {
  const { pool } = server.services.database;
  const { rows } = await pool.query<{ name: string }>(
    "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'",
  );
  const texts = await Promise.all(
    rows.map(({ name }) =>
      pool.query<{ text: string | null }>(`SELECT string_agg(t::text, chr(10)) AS text FROM "${name}" t`),
    ),
  );
  return texts.map((table) => table.rows[0]!.text ?? "").join("\n");
}

test("what an agent did not mask is masked before it is stored: faults, warnings, progress and names of metrics", async (t) => {
  const server = await runServer(t);
  const { worker, assignment, report } = await runWithSecret(server);
  const { run, epoch } = assignment;
  await report({ type: "run.started", backend: "process" }, started("make"));
  const at = new Date().toISOString();
  const step = { stepRun: "make", attempt: 1, at };
  const said = await worker.call("POST", `/agent/runs/${run}/messages`, {
    epoch,
    progress: [{ ...step, position: 0, done: 1, total: 2, message: `using ${CANARY}` }],
    metrics: [{ ...step, n: 0, name: `loss of ${CANARY}`, value: 1, step: null }],
  });
  assert.equal(said.statusCode, 200, said.body);
  await report(failed(CANARY), {
    ...{ type: "run.finished", state: "failed" },
    fault: fault("exit-nonzero", `make: said ${CANARY}`),
  });
  const rows = await everyRow(server);
  for (const form of [CANARY, base64(CANARY)]) assert.ok(!rows.includes(form), `${form} is stored`);
  for (const shown of ["make: said ***", "warned: ***", "in base64: ***", "using ***", "loss of ***"]) {
    assert.ok(rows.includes(shown), `${shown} is not stored`);
  }
});

test("where the key of a secret is lost, what runs report is taken all the same, and the log names the secret", async (t) => {
  const lines: string[] = [];
  const log = pino({ level: "info" }, { write: (line: string) => void lines.push(line) });
  const server = await runServer(t, { secretKey: randomBytes(32) });
  await runWithSecret(server);
  for (const sealer of [localRing(createSealer(randomBytes(32))), NO_KEYS]) {
    const without = await runServer(t, { url: server.services.database.url, sealer, log });
    const worker = await testWorker(without, { name: `w${sealer.newest ?? "0"}` });
    await submit(without);
    const { report } = await takeRun(worker);
    await report({ type: "run.started", backend: "process" }, started("make"), failed("nothing secret"));
    assert.match(await everyRow(without), /said nothing secret/);
  }
  const warned = lines.map((line) => JSON.parse(line)).filter(({ secret }) => secret === "TOKEN");
  assert.equal(warned.length, 2);
  assert.match(warned[0].msg, /cannot be read/);
});
