import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import type { TestContext } from "node:test";
import { promisify } from "node:util";
import { zstdCompress } from "node:zlib";
import type { LightMyRequestResponse } from "fastify";
import { type Assignment, LOGS_CONTENT_TYPE, type LogChunkHeader } from "../../src/protocol/agent-api.ts";
import type { ConsumedInput, ProducedOutput } from "../../src/protocol/artifacts.ts";
import { ErrorBody } from "../../src/protocol/errors.ts";
import type { AgentEventBody } from "../../src/protocol/events.ts";
import { newId } from "../../src/protocol/ids.ts";
import type { CreateRunInput, RunDetail, StepRun } from "../../src/protocol/resources.ts";
import { runRoutes } from "../../src/server/http/run-routes.ts";
import { workerRoutes } from "../../src/server/http/workers.ts";
import { type ReapResult, reap } from "../../src/server/scheduling/reap.ts";
import { type TestServer, type TestServerOptions, type TestWorker, testServer } from "./server.ts";

/** What tests of runs have in common: a server with the routes of runs, and a worker that is driven by hand. */

const compress = promisify(zstdCompress);

export async function runServer(t: TestContext, options: TestServerOptions = {}): Promise<TestServer> {
  return testServer(t, (services) => [...runRoutes(services), ...workerRoutes(services)], options);
}

/** Two steps of which the second reads the first's output. */
export const CHAIN = `
name: chain
environment: { image: busybox }
steps:
  make:
    run: echo hello > $BERTH_OUT/text
    outputs: { text: { path: text } }
  use:
    run: cat $BERTH_IN/text
    inputs: { text: make.text }
`;

export async function submit(server: TestServer, request: Partial<CreateRunInput> = {}): Promise<RunDetail> {
  const answer = await server.call("developer", {
    method: "POST",
    url: "/runs",
    payload: { pipeline: CHAIN, ...request },
  });
  assert.equal(answer.statusCode, 201, answer.body);
  return answer.json();
}

export async function showRun(server: TestServer, run: string): Promise<RunDetail> {
  const answer = await server.call("viewer", { url: `/runs/${encodeURIComponent(run)}` });
  assert.equal(answer.statusCode, 200, answer.body);
  return answer.json();
}

export async function showSteps(server: TestServer, run: string): Promise<Map<string, StepRun>> {
  const answer = await server.call("viewer", { url: `/runs/${run}/steps?limit=500` });
  assert.equal(answer.statusCode, 200, answer.body);
  return new Map((answer.json().items as StepRun[]).map((step) => [step.key, step]));
}

/** One look of an agent for runs, without waiting. */
export async function poll(worker: TestWorker, request: object = {}): Promise<LightMyRequestResponse> {
  return worker.call("POST", "/agent/poll", { freeSlots: 1, held: [], knownCancels: [], waitMs: 0, ...request });
}

/** An agent's side of a run that it holds. */
export interface LeasedRunDriver {
  readonly assignment: Assignment;
  /** Sends the next events; the numbers go on even when they are refused, unless `seq` says otherwise. */
  report(...bodies: AgentEventBody[]): Promise<LightMyRequestResponse>;
  reportFrom(seq: number, ...bodies: AgentEventBody[]): Promise<LightMyRequestResponse>;
  logs(...chunks: (Omit<LogChunkHeader, "length"> & { readonly text: string })[]): Promise<LightMyRequestResponse>;
}

/** Lets a worker take the oldest run that it can. */
export async function takeRun(worker: TestWorker, held: readonly object[] = []): Promise<LeasedRunDriver> {
  const answer = await poll(worker, { held });
  assert.equal(answer.statusCode, 200, answer.body);
  const [assignment] = answer.json().assignments as Assignment[];
  assert.ok(assignment, "the worker was given no run");
  return driver(worker, assignment);
}

export function driver(worker: TestWorker, assignment: Assignment): LeasedRunDriver {
  let acked = 0;
  const { run, epoch } = assignment;
  const reportFrom: LeasedRunDriver["reportFrom"] = async (seq, ...bodies) => {
    const at = new Date().toISOString();
    const events = bodies.map((body, index) => ({ seq: seq + index, at, body }));
    const answer = await worker.call("POST", `/agent/runs/${run}/events`, { epoch, events });
    if (answer.statusCode === 200) acked = answer.json().ackedSeq;
    return answer;
  };
  return {
    assignment,
    reportFrom,
    report: (...bodies) => reportFrom(acked + 1, ...bodies),
    logs: async (...chunks) =>
      worker.call("POST", `/agent/runs/${run}/logs`, await logBody(epoch, chunks), { contentType: LOGS_CONTENT_TYPE }),
  };
}

export async function logBody(
  epoch: number,
  chunks: readonly (Omit<LogChunkHeader, "length"> & { readonly text: string })[],
): Promise<Buffer> {
  const headers = chunks.map(({ text, ...header }) => ({ ...header, length: Buffer.byteLength(text) }));
  return compress(`${JSON.stringify({ epoch, chunks: headers })}\n${chunks.map(({ text }) => text).join("")}`);
}

export function started(stepRun: string, attempt = 1): AgentEventBody {
  return { type: "attempt.started", stepRun, attempt, backend: "process", object: `o-${stepRun}-${attempt}` };
}

type Finished = Extract<AgentEventBody, { type: "attempt.finished" }>;

export function succeeded(
  stepRun: string,
  outputs: ProducedOutput[] = [],
  inputs: ConsumedInput[] = [],
  more: Partial<Finished> = {},
): AgentEventBody {
  return {
    type: "attempt.finished",
    ...{ stepRun, attempt: 1, state: "succeeded", stepState: "succeeded" },
    ...{ exitCode: 0, signal: null, fault: null, phases: { running: 5 }, usage: {}, outputs, inputs, warnings: [] },
    ...more,
  };
}

/** An output that travels inside its event. */
export function inlineOutput(name: string, text: string): ProducedOutput {
  const bytes = Buffer.from(text);
  return {
    name,
    content: {
      kind: "file",
      digest: createHash("sha256").update(bytes).digest("hex"),
      size: bytes.length,
      fileName: name,
      contentType: "text/plain",
      fileCount: 1,
    },
    inline: bytes.toString("base64"),
  };
}

/** All events of the run of CHAIN, with success. */
export function chainEvents(text = `hello ${randomBytes(4).toString("hex")}`): AgentEventBody[] {
  const output = inlineOutput("text", text);
  return [
    { type: "run.started", backend: "process" },
    started("make"),
    succeeded("make", [output]),
    started("use"),
    succeeded("use", [], [{ name: "text", stepRun: "make", artifact: "text", digest: output.content.digest }]),
    { type: "run.finished", state: "succeeded", fault: null },
  ];
}

/** One pass of a reaper that was never away, whenever the test's database was made. */
export async function reapNow({ services }: TestServer, recoveryAfterMs: number): Promise<ReapResult> {
  await services.database.pool.query("UPDATE reaper SET passed_at = now()");
  return reap(services, { recoveryAfterMs });
}

/** Resolves when the next wait for a wake-up begins, such as that of a poll that has found nothing. */
export async function waitBegins({ services: { wakeups } }: TestServer): Promise<void> {
  const original = wakeups.wait.bind(wakeups);
  const { promise, resolve } = Promise.withResolvers<void>();
  wakeups.wait = (...args) => {
    wakeups.wait = original;
    resolve();
    return original(...args);
  };
  await promise;
}

/** Resolves when some transaction waits for a lock of another; rejects when the signal aborts before that. */
export async function lockIsAwaited({ services }: TestServer, signal?: AbortSignal): Promise<void> {
  for (;;) {
    const { rowCount } = await services.database.pool.query(
      "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
    );
    if (rowCount !== 0) return;
    signal?.throwIfAborted();
    await new Promise((looked) => setImmediate(looked));
  }
}

export function errorOf(answer: LightMyRequestResponse): ErrorBody["error"] {
  return ErrorBody.parse(answer.json()).error;
}

/** The worker's agent is started again, with these leases in its journal. */
export async function reboot(server: TestServer, worker: TestWorker, held: readonly object[]) {
  const bootId = newId("boot");
  const { rows } = await server.services.database.pool.query("SELECT capabilities FROM workers WHERE id = $1", [
    worker.id,
  ]);
  const body = { bootId, agentVersion: "0", apiVersion: 1, capabilities: rows[0].capabilities, held };
  const answer = await worker.call("POST", "/agent/boot", body, { bootId });
  const call: TestWorker["call"] = (method, path, payload, more = {}) =>
    worker.call(method, path, payload, { ...more, bootId });
  return { answer, worker: { ...worker, bootId, call } satisfies TestWorker };
}
