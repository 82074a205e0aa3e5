import { setTimeout as sleep } from "node:timers/promises";
import type { Run, RunDetail } from "../../src/protocol/resources.ts";
import { isTerminal, RUN_TRANSITIONS } from "../../src/protocol/states.ts";
import { AgentNetwork } from "./agent-network.ts";
import { type AcceptedRun, collectEvidence } from "./evidence.ts";
import { type Fault, faultsFor, seeded, shuffled } from "./faults.ts";
import { Fleet } from "./fleet.ts";
import { judge, type Verdict } from "./judge.ts";
import { Ledger } from "./ledger.ts";
import { noteOwner, stopAbandoned } from "./left-behind.ts";
import { type Backend, workload } from "./workload.ts";

export interface ChaosOptions {
  /** A folder that is not there yet, or empty; it keeps logs and ledger. */
  readonly folder: string;
  /** At least this long; each kind of fault that fits in is injected at least once. */
  readonly durationMs: number;
  readonly seed: number;
  readonly backends: readonly Backend[];
  readonly agents: number;
  /** New runs come as long as fewer than this many are under way. */
  readonly runsAtOnce: number;
  /** From one fault to the next; enough of them for something to be done in between. */
  readonly faultIntervalMs: { readonly min: number; readonly max: number };
  /** Image of the steps in Docker. */
  readonly image: string;
  /** Ends everything at once, and leaves nothing behind. */
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
}

export interface ChaosResult {
  readonly runs: number;
  /** Attempts that all these runs made, and how many leases were granted beyond the first of each run. */
  readonly attempts: number;
  readonly handOvers: number;
  /** Step runs that took the result of an earlier run. */
  readonly cached: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly verdict: Verdict;
  readonly leftovers: readonly string[];
  /** Programs that ended by themselves, and requests that were answered as a defect. */
  readonly defects: readonly string[];
}

const SUBMIT_INTERVAL_MS = 400;
/** One run in this many is cancelled, within this long. */
const CANCELLED_EVERY = 5;
const CANCEL_WITHIN_MS = 6_000;
/** After the last fault everything has to come to its end within this: a lease may have to run out first. */
const SETTLE_TIMEOUT_MS = 240_000;
/** And nothing may be left this long after that. */
const TIDY_TIMEOUT_MS = 60_000;

/** Runs go on and on while what runs them is killed, stopped and cut off at random; then a judge looks at what became of them. */
export async function chaosRun(options: ChaosOptions): Promise<ChaosResult> {
  const { folder, durationMs, say, signal } = options;
  const swept = [...AgentNetwork.sweep(), ...(await stopAbandoned(folder))];
  using _owner = noteOwner(folder);
  if (swept.length > 0) say(`stopped what an earlier chaos run left: ${swept.join(" ")}`);
  const unavailable = AgentNetwork.unavailable();
  if (unavailable !== null) say(`skipped: partitions between agents and servers, as ${unavailable}`);
  using ledger = await Ledger.open(`${folder}/ledger`);
  await using fleet = await Fleet.start({ folder, agents: options.agents, networks: unavailable === null });
  const random = seeded(options.seed);
  const startedAt = performance.now();
  const faults: Record<string, number> = {};
  const runs: AcceptedRun[] = [];
  const breaking = breakThings().finally(() => fleet.heal());
  const ended = new AbortController();
  await Promise.all([breaking.finally(() => ended.abort()), submitUntil(ended.signal)]);
  say(`${runs.length} runs accepted, ${sum(faults)} faults injected; waiting for the runs to end`);
  await settled();
  const leftovers = await tidied();
  const evidence = await collectEvidence(fleet.api, runs);
  return {
    runs: runs.length,
    attempts: evidence.reduce((count, { steps }) => count + steps.flatMap(({ attempts }) => attempts).length, 0),
    cached: evidence.flatMap(({ events }) => events).filter(({ body }) => body.type === "step.cached").length,
    handOvers: evidence.reduce((count, { run }) => count + Math.max(0, run.epoch - 1), 0),
    faults,
    verdict: judge(evidence, ledger.read()),
    leftovers,
    defects: fleet.defects(),
  };

  async function submitUntil(end: AbortSignal): Promise<void> {
    for (let count = 1; !end.aborted; count++) {
      if ((await openRuns()) >= options.runsAtOnce) count -= 1;
      else await submit(count);
      await sleep(SUBMIT_INTERVAL_MS, undefined, { signal });
    }
  }

  async function submit(count: number): Promise<void> {
    const backend = options.backends[Math.floor(count / 4) % options.backends.length]!;
    const work = workload({ ledger, backend, image: options.image, count });
    const { params } = work;
    const body = { pipeline: JSON.stringify(work.pipeline), params, backend, requestKey: `chaos-${count}` };
    const run = await fleet.api.post<Run>("/runs?project=default", body);
    const cancelled = count % CANCELLED_EVERY === 0;
    runs.push({ id: run.id, workload: work, cancelled });
    if (cancelled) setTimeout(() => void cancel(run.id), random() * CANCEL_WITHIN_MS).unref();
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

  /** Draws from a bag that holds each kind of fault once, and fills it again when nothing in it can be done now. */
  async function breakThings(): Promise<void> {
    const { min, max } = options.faultIntervalMs;
    const kinds = faultsFor(fleet).filter(({ lastsMs }) => lastsMs <= durationMs);
    let bag = shuffled(kinds, random);
    for (;;) {
      await sleep(min + random() * (max - min), undefined, { signal });
      const leftMs = startedAt + durationMs - performance.now();
      const isOwed = ({ name }: Fault) => faults[name] === undefined;
      if (leftMs < 0 && !kinds.some(isOwed)) return;
      const done = bag.find((fault) => (isOwed(fault) || fault.lastsMs <= leftMs) && inject(fault));
      bag = bag.filter((fault) => fault !== done);
      if (done === undefined || bag.length === 0)
        bag = [
          ...bag,
          ...shuffled(
            kinds.filter((fault) => !bag.includes(fault)),
            random,
          ),
        ];
    }
  }

  function inject(fault: Fault): boolean {
    if (!fault.act(fleet, random)) return false;
    faults[fault.name] = (faults[fault.name] ?? 0) + 1;
    return true;
  }

  async function settled(): Promise<void> {
    const deadline = performance.now() + SETTLE_TIMEOUT_MS;
    for (const { id } of runs) {
      for (;;) {
        const { state } = await fleet.api.get<RunDetail>(`/runs/${id}?project=default`);
        if (isTerminal(RUN_TRANSITIONS, state) || performance.now() > deadline) break;
        await sleep(250, undefined, { signal });
      }
    }
  }

  async function tidied(): Promise<string[]> {
    const deadline = performance.now() + TIDY_TIMEOUT_MS;
    for (;;) {
      const left = fleet.leftovers();
      if (left.length === 0 || performance.now() > deadline) return left;
      await sleep(500, undefined, { signal });
    }
  }
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}
