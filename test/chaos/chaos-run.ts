import { setTimeout as sleep } from "node:timers/promises";
import type { Run, RunDetail } from "../../src/protocol/resources.ts";
import { isTerminal, RUN_TRANSITIONS } from "../../src/protocol/states.ts";
import { Fleet } from "./fleet.ts";
import { type AcceptedRun, judge, type Verdict } from "./judge.ts";
import { Ledger } from "./ledger.ts";
import { type Backend, workload } from "./workload.ts";

export interface ChaosOptions {
  /** A folder that is not there yet, or empty; it keeps logs and ledger. */
  readonly folder: string;
  readonly durationMs: number;
  readonly seed: number;
  readonly backends: readonly Backend[];
  /** Image of the steps in Docker. */
  readonly image: string;
  readonly say: (line: string) => void;
}

export interface ChaosResult {
  readonly runs: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly verdict: Verdict;
  readonly leftovers: readonly string[];
}

/** New runs come as long as fewer than this many are under way. */
const RUNS_AT_ONCE = 8;
const SUBMIT_INTERVAL_MS = 400;
const FAULT_INTERVAL_MS = { min: 300, max: 2_500 };
/** Kinds of runs: one in this many fails by its own doing, one in this many is cancelled. */
const FAILS_EVERY = 7;
const CANCELLED_EVERY = 9;
const PAUSE_MAX_MS = 8_000;
/** Long enough for a lease to run out: its runs move to another worker. */
const GONE_MS = 75_000;
/** After the last fault everything has to come to its end within this. */
const SETTLE_TIMEOUT_MS = 240_000;
/** And nothing may be left this long after that. */
const TIDY_TIMEOUT_MS = 60_000;

/** Runs go on and on while what runs them is killed and stopped at random; then a judge looks at what became of them. */
export async function chaosRun(options: ChaosOptions): Promise<ChaosResult> {
  const { folder, durationMs, say } = options;
  using ledger = await Ledger.open(`${folder}/ledger`);
  await using fleet = await Fleet.start(folder);
  const random = seeded(options.seed);
  const until = performance.now() + durationMs;
  const faults: Record<string, number> = {};
  const runs: AcceptedRun[] = [];
  await Promise.all([submitUntil(until), breakUntil(until)]);
  say(`${runs.length} runs accepted, ${sum(faults)} faults; waiting for the runs to end`);
  await settled();
  const leftovers = await tidied(fleet);
  return { runs: runs.length, faults, verdict: await judge(fleet.api, runs, ledger.read()), leftovers };

  async function submitUntil(end: number): Promise<void> {
    for (let count = 1; performance.now() < end; count++) {
      if ((await openRuns()) >= RUNS_AT_ONCE) count -= 1;
      else await submit(count);
      await sleep(SUBMIT_INTERVAL_MS);
    }
  }

  async function submit(count: number): Promise<void> {
    const backend = options.backends[count % options.backends.length]!;
    const work = workload(ledger, backend, options.image, count % FAILS_EVERY === 0);
    const body = { pipeline: JSON.stringify(work.pipeline), backend, requestKey: `chaos-${options.seed}-${count}` };
    const run = await fleet.api.post<Run>("/runs?project=default", body);
    const cancelled = count % CANCELLED_EVERY === 0;
    runs.push({ id: run.id, workload: work, cancelled });
    if (cancelled) setTimeout(() => void cancel(run.id), random() * 3_000);
  }

  async function cancel(id: string): Promise<void> {
    await fleet.api
      .post(`/runs/${id}/cancel?project=default`, { reason: "chaos" })
      .catch((error: Error) => say(error.message));
  }

  async function openRuns(): Promise<number> {
    const states = ["queued", "running", "cancelling"];
    const pages = await Promise.all(
      states.map((state) => fleet.api.get<{ items: Run[] }>(`/runs?project=default&state=${state}&limit=100`)),
    );
    return pages.reduce((count, { items }) => count + items.length, 0);
  }

  async function breakUntil(end: number): Promise<void> {
    const { min, max } = FAULT_INTERVAL_MS;
    for (;;) {
      await sleep(min + random() * (max - min));
      if (performance.now() > end) return;
      const fault = pick(FAULTS, random);
      if (fault.act(fleet, random, end - performance.now())) faults[fault.name] = (faults[fault.name] ?? 0) + 1;
    }
  }

  async function settled(): Promise<void> {
    const deadline = performance.now() + SETTLE_TIMEOUT_MS;
    for (const { id } of runs) {
      for (;;) {
        const { state } = await fleet.api.get<RunDetail>(`/runs/${id}?project=default`);
        if (isTerminal(RUN_TRANSITIONS, state) || performance.now() > deadline) break;
        await sleep(250);
      }
    }
  }
}

interface Fault {
  readonly name: string;
  /** Says whether there was something to break. */
  act(fleet: Fleet, random: () => number, leftMs: number): boolean;
}

const FAULTS: readonly Fault[] = [
  { name: "server killed", act: ({ servers }, random) => pick(servers, random).kill() },
  { name: "agent killed", act: ({ agents }, random) => pick(agents, random).kill() },
  { name: "agent killed", act: ({ agents }, random) => pick(agents, random).kill() },
  { name: "PostgreSQL killed", act: ({ postgres }) => killProcess(postgres.pid) },
  { name: "agent paused", act: ({ agents }, random) => pick(agents, random).pauseFor(random() * PAUSE_MAX_MS) },
  { name: "server paused", act: ({ servers }, random) => pick(servers, random).pauseFor(random() * PAUSE_MAX_MS) },
  {
    name: "agent gone until its leases ran out",
    // Only one at a time, and only when there is time to see it come back.
    act: ({ agents }, random, leftMs) => leftMs > GONE_MS && random() < 0.2 && agents[0]!.killFor(GONE_MS),
  },
];

/** False when it is gone already, and not back yet. */
function killProcess(pid: number): boolean {
  try {
    return process.kill(pid, "SIGKILL");
  } catch {
    return false;
  }
}

async function tidied(fleet: Fleet): Promise<string[]> {
  const deadline = performance.now() + TIDY_TIMEOUT_MS;
  for (;;) {
    const left = fleet.leftovers();
    if (left.length === 0 || performance.now() > deadline) return left;
    await sleep(500);
  }
}

function pick<T>(list: readonly T[], random: () => number): T {
  return list[Math.floor(random() * list.length)]!;
}

/** The same faults in the same order for the same seed; when exactly they strike is the machine's affair. */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}
