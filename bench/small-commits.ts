import { createHash } from "node:crypto";
import { EVENTS_PER_REQUEST } from "../src/protocol/agent-api.ts";
import type { ProducedOutput } from "../src/protocol/artifacts.ts";
import type { AgentEventBody } from "../src/protocol/events.ts";
import type { Run } from "../src/protocol/resources.ts";
import { BenchServer } from "./bench-server.ts";
import { cpuMs } from "./cpu-time.ts";
import { spread } from "./measure.ts";
import type { Finding } from "./report.ts";
import { SimulatedAgent } from "./simulated-agent.ts";

const ARTIFACTS = 10_000;
const BYTES = 1_024;
const ROUNDS_MAX = 3;

const PIPELINE = `
name: small
environment: { image: none }
worker: { pool: small }
steps:
  rows: { command: ["true"], outputs: { rows: rows.txt } }
  each: { command: ["true"], batch: { over: rows.rows, format: lines }, outputs: { out: out.bin } }
`;

/** Commits of small artifacts, in the batches in which an agent reports them: each one a version with bytes of its own. */
export async function smallCommits(rounds: number): Promise<Finding> {
  await using server = await BenchServer.start();
  using agent = await SimulatedAgent.register(server, "small");
  const rates: number[] = [];
  const cpu: { server: number; postgres: number }[] = [];
  for (let round = 0; round < Math.min(rounds, ROUNDS_MAX) + 1; round++) {
    await server.post<Run>("/runs", { pipeline: PIPELINE });
    const assignment = await agent.take();
    if (assignment === null) throw new Error("a poll ended without a run, although one is queued");
    await agent.report(assignment, [
      { type: "run.started", backend: "process" },
      ...attempt("rows", output("rows", Buffer.from(`rows ${round}`))),
      { type: "step.expanded", stepRun: "each", items: ARTIFACTS },
    ]);
    const items = Array.from({ length: ARTIFACTS }, (_, item) =>
      attempt(`each[${item}]`, output("out", Buffer.alloc(BYTES, `${round} ${item} `))),
    ).flat();
    const cpuOf = () => [cpuMs(server.pids.server), cpuMs(server.pids.postgres)] as const;
    const [serverMs, postgresMs] = cpuOf();
    const startedAt = performance.now();
    for (let start = 0; start < items.length; start += EVENTS_PER_REQUEST) {
      await agent.report(assignment, items.slice(start, start + EVENTS_PER_REQUEST));
    }
    const seconds = (performance.now() - startedAt) / 1000;
    // The first is the warm-up.
    if (round > 0) {
      rates.push(ARTIFACTS / seconds);
      const [server2, postgres2] = cpuOf();
      cpu.push({ server: (server2 - serverMs) / ARTIFACTS, postgres: (postgres2 - postgresMs) / ARTIFACTS });
    }
    await agent.report(assignment, [
      { type: "step.finished", stepRun: "each", state: "succeeded", fault: null },
      { type: "run.finished", state: "succeeded", fault: null },
    ]);
  }
  const { min, median, max } = spread(rates);
  return {
    title: "Commits of 10,000 artifacts of 1 KB",
    table: [
      ["what", "min", "median", "max"],
      ["artifacts per second", min.toFixed(0), median.toFixed(0), max.toFixed(0)],
      ...(["server", "postgres"] as const).map((who) => {
        const of = spread(cpu.map((one) => one[who]));
        return [`CPU of the ${who} for each, ms`, of.min.toFixed(2), of.median.toFixed(2), of.max.toFixed(2)];
      }),
    ],
    ratios: [{ what: "artifacts per second, median", value: median, atLeast: 2_000 }],
    notes: [
      `The start and the end of an attempt each, ${EVENTS_PER_REQUEST} events to a request, one request after another, ` +
        "through the client and signatures of a real agent. Each end makes a version, with bytes of its own, durable.",
    ],
  };
}

function attempt(stepRun: string, made: ProducedOutput): AgentEventBody[] {
  return [
    { type: "attempt.started", stepRun, attempt: 1, backend: "process", object: `simulated-${stepRun}` },
    {
      ...({ type: "attempt.finished", stepRun, attempt: 1, state: "succeeded", stepState: "succeeded" } as const),
      ...{ exitCode: 0, signal: null, fault: null, phases: { running: 1 }, usage: {} },
      ...{ outputs: [made], inputs: [], warnings: [] },
    },
  ];
}

function output(name: string, bytes: Buffer): ProducedOutput {
  const digest = createHash("sha256").update(bytes).digest("hex");
  const content = { kind: "file" as const, digest, size: bytes.length, fileName: name, fileCount: 1 };
  return { name, content: { ...content, contentType: "application/octet-stream" }, inline: bytes.toString("base64") };
}
