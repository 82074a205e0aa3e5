import { setTimeout as sleep } from "node:timers/promises";
import { pino } from "pino";
import { oneStore } from "../src/server/objects/object-tiers.ts";
import { collect } from "../src/server/scheduling/collect.ts";
import { COLLECTOR_LOCK } from "../src/server/scheduling/collect-loop.ts";
import { BenchServer } from "./bench-server.ts";
import { makeVersions } from "./many-versions.ts";
import { spread } from "./measure.ts";
import { QueueOfRuns } from "./queue-of-runs.ts";
import type { Finding } from "./report.ts";
import { SimulatedAgent } from "./simulated-agent.ts";

const VERSIONS = { runs: 1_000, artifacts: 100, ageDays: 20, ownBlobs: true } as const;
const AGENTS = 10;
/** Quiet and busy stretches take turns, so that a slow minute of the machine is in both. */
const STRETCH_MS = 3_000;
const PAUSE_MS = 50;
/** Of runs to be taken: more than are in one stretch. */
const QUEUED = 3_000;

interface Latencies {
  readonly beatMs: number[];
  readonly claimMs: number[];
}

/** The latency of heartbeats and claims while 100,000 versions expire and their blobs go, against that without. */
export async function expiry(): Promise<Finding> {
  await using server = await BenchServer.start();
  using agents = new DisposableStack();
  // Or the server's own collector is at work while it is to be quiet.
  const holder = await server.database.pool.connect();
  agents.defer(() => holder.release(true));
  await holder.query("SELECT pg_advisory_lock($1)", [COLLECTOR_LOCK]);
  await makeVersions(server, VERSIONS);
  const queue = await QueueOfRuns.open(server, "work");
  await queue.add(QUEUED);
  const all: SimulatedAgent[] = [];
  for (let n = 0; n < AGENTS; n++) all.push(agents.use(await SimulatedAgent.register(server, "work")));
  const quiet: Latencies = { beatMs: [], claimMs: [] };
  const busy: Latencies = { beatMs: [], claimMs: [] };
  // The warm-up.
  await stretch(all, { beatMs: [], claimMs: [] }, AbortSignal.timeout(STRETCH_MS));
  let [expired, blobs, collectMs] = [0, 0, 0];
  for (let done = false; !done; ) {
    await stretch(all, quiet, AbortSignal.timeout(STRETCH_MS));
    const limit = AbortSignal.timeout(STRETCH_MS);
    const ended = new AbortController();
    const startedAt = performance.now();
    const services = { database: server.database, objects: oneStore({} as never), log: pino({ level: "silent" }) };
    const working = collect(services, { project: null, graceMs: 0, rest: 1, signal: limit }).finally(() =>
      ended.abort(),
    );
    await stretch(all, busy, AbortSignal.any([limit, ended.signal]));
    const pass = await working;
    [expired, blobs, collectMs] = [
      expired + pass.expired,
      blobs + pass.blobs,
      collectMs + performance.now() - startedAt,
    ];
    done = pass.done;
    await queue.add(QUEUED - (await queued(server)));
  }
  const rows = (["beatMs", "claimMs"] as const).map((kind) => ({
    kind,
    quiet: figures(quiet[kind]),
    busy: figures(busy[kind]),
  }));
  const named = { beatMs: "heartbeat", claimMs: "claim" } as const;
  return {
    title: "Expiring 100,000 versions",
    table: [
      ["what", "quiet: median, ms", "p95, ms", "meanwhile: median, ms", "p95, ms"],
      ...rows.map((row) => [
        named[row.kind],
        ...[row.quiet.p50, row.quiet.p95, row.busy.p50, row.busy.p95].map((value) => value.toFixed(1)),
      ]),
    ],
    ratios: rows.flatMap((row) => [
      { what: `${named[row.kind]}, median, meanwhile / quiet`, value: row.busy.p50 / row.quiet.p50, atMost: 1.5 },
      { what: `${named[row.kind]}, p95, meanwhile / quiet`, value: row.busy.p95 / row.quiet.p95, atMost: 1.5 },
    ]),
    notes: [
      `${expired} versions expired and ${blobs} blobs of 1 KB went in ${(collectMs / 1000).toFixed(1)} s, by the collector as it ` +
        `works by itself, with ${AGENTS} agents that beat, claim and finish runs all the time. Quiet and busy stretches take turns.`,
    ],
  };
}

async function queued(server: BenchServer): Promise<number> {
  const { rows } = await server.database.pool.query(
    "SELECT count(*)::int AS count FROM runs WHERE state = 'queued' AND pool = 'work'",
  );
  return (rows[0] as { count: number }).count;
}

async function stretch(agents: readonly SimulatedAgent[], into: Latencies, signal: AbortSignal): Promise<void> {
  await Promise.all(
    agents.map(async (agent) => {
      while (!signal.aborted) {
        await sleep(Math.random() * PAUSE_MS * 2);
        await timed(into.beatMs, () => agent.beat());
        const assignment = await timed(into.claimMs, () => agent.take());
        if (assignment === null) throw new Error("a poll ended without a run, although runs are queued");
        await agent.finish(assignment);
      }
    }),
  );
}

async function timed<T>(into: number[], act: () => Promise<T>): Promise<T> {
  const startedAt = performance.now();
  const result = await act();
  into.push(performance.now() - startedAt);
  return result;
}

function figures(values: readonly number[]): { p50: number; p95: number } {
  return { p50: spread(values).median, p95: values.toSorted((a, b) => a - b)[Math.floor(values.length * 0.95)]! };
}
