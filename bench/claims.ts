import { setTimeout as sleep } from "node:timers/promises";
import { BenchServer } from "./bench-server.ts";
import { cpuMs } from "./cpu-time.ts";
import { spread } from "./measure.ts";
import { QueueOfRuns } from "./queue-of-runs.ts";
import type { Finding } from "./report.ts";
import { SimulatedAgent } from "./simulated-agent.ts";

const AGENTS = 50;
/** Agents ask within this, as they do that finish their runs at different times. */
const SPREAD_MS = 1_000;
const HOUR_MS = 3_600_000;

interface Line {
  readonly what: string;
  readonly queued: number;
  readonly varied: (index: number) => object;
}

/** Queues of the same server, each with workers of its own; what is asked of one is not seen by the others. */
const LINES: Readonly<Record<string, Line>> = {
  short: { what: "100 queued", queued: 100, varied: () => ({}) },
  long: { what: "10,000 queued", queued: 10_000, varied: () => ({}) },
  mixed: {
    what: "10,000 queued, of 21 priorities, each with needs",
    queued: 10_000,
    varied: (index) => ({
      priority: (index % 21) - 10,
      ...{ needed_cpus: index % 4, needed_memory_bytes: (index % 8) * 1024 ** 3, backend: "process" },
    }),
  },
  unfit: {
    what: "10,000 queued, of which the first 9,900 are for other workers",
    queued: 10_000,
    varied: (index) =>
      index > 9_900 ? {} : { labels: ["other"], created_at: new Date(Date.now() - HOUR_MS).toISOString() },
  },
};

/** Claims of runs by agents that poll, as the queue gets longer: the time of a poll that is given a run, and CPU time. */
export async function claims(rounds: number): Promise<Finding> {
  await using server = await BenchServer.start();
  using agents = new DisposableStack();
  const contenders = new Map<string, Contender>();
  for (const [name, { queued, varied }] of Object.entries(LINES)) {
    const queue = await QueueOfRuns.open(server, name, varied);
    await queue.add(queued);
    const all = await Promise.all(Array.from({ length: AGENTS }, () => SimulatedAgent.register(server, name)));
    contenders.set(name, { queue, agents: all.map((agent) => agents.use(agent)), claimMs: [], cpuMs: [] });
  }
  await server.database.pool.query("ANALYZE");
  const beatMs: number[] = [];
  for (let round = -1; round < rounds; round++) {
    // The first round is the warm-up.
    const into = round < 0 ? [] : beatMs;
    await atTimes([...contenders.values()][0]!.agents, (agent) => agent.beat(), into);
    for (const contender of contenders.values()) {
      await claimEach(server, round < 0 ? { ...contender, claimMs: [], cpuMs: [] } : contender);
    }
  }

  const of = (name: string) => ({
    ...figures(contenders.get(name)!.claimMs),
    cpu: spread(contenders.get(name)!.cpuMs).median,
  });
  const [short, long, mixed, beat] = [of("short"), of("long"), of("mixed"), figures(beatMs)];
  return {
    title: "Claims of queued runs",
    table: [
      ["what", "median, ms", "p99, ms", "CPU of server and PostgreSQL, ms"],
      ["heartbeat: one signed request, one durable write", beat.p50.toFixed(1), beat.p99.toFixed(1), ""],
      ...Object.entries(LINES).map(([name, { what }]) => {
        const { p50, p99, cpu } = of(name);
        return [`claim, ${what}`, p50.toFixed(1), p99.toFixed(1), cpu.toFixed(1)];
      }),
    ],
    ratios: [
      { what: "claim with 10,000 queued beyond a heartbeat, p99, ms", value: long.p99 - beat.p99, atMost: 100 },
      { what: "the same, with priorities and needs, p99, ms", value: mixed.p99 - beat.p99, atMost: 100 },
      { what: "CPU per claim, 10,000 queued / 100 queued", value: long.cpu / short.cpu, atMost: 1.25 },
      { what: "the same, with priorities and needs", value: mixed.cpu / short.cpu, atMost: 1.25 },
      { what: "median of a claim, 10,000 queued / 100 queued", value: long.p50 / short.p50, atMost: 1.5 },
    ],
    notes: [
      `${AGENTS} agents ask for a run each within ${SPREAD_MS / 1000} s, through the client and signatures of a real agent, of a ` +
        "server process on PostgreSQL as it is in use; the queues take turns.",
    ],
  };
}

function figures(values: readonly number[]): { p50: number; p99: number } {
  const sorted = values.toSorted((a, b) => a - b);
  return { p50: spread(sorted).median, p99: sorted[Math.floor(sorted.length * 0.99)]! };
}

interface Contender {
  readonly queue: QueueOfRuns;
  readonly agents: readonly SimulatedAgent[];
  readonly claimMs: number[];
  /** Per claim, by round. */
  readonly cpuMs: number[];
}

/** Each agent takes a run and ends it; the queue is as long afterwards as before. */
async function claimEach(server: BenchServer, { queue, agents, claimMs, cpuMs: cpu }: Contender): Promise<void> {
  const cpuOf = () => cpuMs(server.pids.server) + cpuMs(server.pids.postgres);
  const before = cpuOf();
  const taken = await atTimes(agents, (agent) => agent.take(), claimMs);
  cpu.push((cpuOf() - before) / agents.length);
  for (const [index, assignment] of taken.entries()) {
    if (assignment === null) throw new Error("a poll ended without a run, although runs are queued");
    await agents[index]!.finish(assignment);
  }
  await queue.add(agents.length);
}

/** Lets each agent act once, each at its own time, and notes how long that took. */
function atTimes<T>(
  agents: readonly SimulatedAgent[],
  act: (agent: SimulatedAgent) => Promise<T>,
  into: number[],
): Promise<T[]> {
  return Promise.all(
    agents.map(async (agent) => {
      await sleep(Math.random() * SPREAD_MS);
      const startedAt = performance.now();
      const result = await act(agent);
      into.push(performance.now() - startedAt);
      return result;
    }),
  );
}
