import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { ArtifactVersion, Run, RunDetail, WorkerSummary } from "../../src/protocol/resources.ts";
import { isTerminal, RUN_TRANSITIONS } from "../../src/protocol/states.ts";
import type { VerifyStorePage } from "../../src/protocol/store-verify.ts";
import { pick, type Random, seeded } from "../chaos/faults.ts";
import { Fleet } from "../chaos/fleet.ts";
import { noteOwner } from "../chaos/left-behind.ts";
import { FRAMES_PY, HAND_OVER_STEP, type Sizes, transferPipeline } from "./pipeline.ts";
import { ageStore, type StoreFiles, strayFiles } from "./store-state.ts";
import type { TrialStore } from "./trial-store.ts";

export interface TrialOptions extends Sizes, TrialStore {
  /** A folder that is not there yet, or empty; it keeps the logs of every part. */
  readonly folder: string;
  /** See Made. */
  readonly pandas: string | null;
  readonly seed: number;
  /** From one kill to the next: enough for something to be moved in between. */
  readonly killIntervalMs: { readonly min: number; readonly max: number };
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
}

export interface TrialResult {
  /** Kills while bytes were on their way up from the worker that made them, and down to the one that reads them. */
  readonly killsWhileStoring: number;
  readonly killsWhileFetching: number;
  readonly versions: number;
  /** What is not as it should be; empty for a trial that is passed. */
  readonly problems: readonly string[];
}

const QUERY = "project=default";
const LOOK_INTERVAL_MS = 200;
const RUN_TIMEOUT_MS = 60 * 60_000;
/** Of what was killed, on a machine with much else to do. */
const START_TIMEOUT_MS = 2 * 60_000;
/** One request may hash a whole blob, or look at every object. */
const STORE_TIMEOUT_MS = 10 * 60_000;

/**
 * One run makes a large file and a folder of many files; then the worker is drained, and another one runs the steps
 * again that read them, so that every byte goes up and comes down. All the while agents and servers are killed. At the
 * end the digests have to be the makers' own, the store has to be whole, and after a collection hold nothing else.
 */
export async function transferTrial(options: TrialOptions): Promise<TrialResult> {
  const { folder, say, signal } = options;
  using _owner = noteOwner(folder);
  await using fleet = await Fleet.start({ folder, agents: 2, networks: false, serverEnv: options.serverEnv });
  const random = seeded(options.seed);
  const problems: string[] = [];

  const work = join(folder, "work");
  mkdirSync(work);
  const pipeline = transferPipeline({ ...options, key: randomBytes(16).toString("hex") });
  writeFileSync(join(work, "pipeline.json"), JSON.stringify(pipeline));
  writeFileSync(join(work, "frames.py"), FRAMES_PY);
  const made = JSON.parse(fleet.cli(work, "run", "pipeline.json", "--backend", "process", "--detach", "--json")) as Run;
  const killsWhileStoring = await killUntilEnded(made.id);
  const maker = await workerOf(made.id);
  await fleet.api.post(`/workers/${maker.id}/drain?${QUERY}`, {});
  say(`made on ${maker.name}, with ${killsWhileStoring} kills; now it is drained, and another worker reads it all`);

  const again = await fleet.api.post<RunDetail>(`/runs/${made.id}/restart?${QUERY}`, { from: HAND_OVER_STEP });
  const killsWhileFetching = await killUntilEnded(again.id);
  const reader = await workerOf(again.id);
  if (reader.id === maker.id) problems.push("both runs were on one worker: nothing had to be fetched");
  say(`read on ${reader.name}, with ${killsWhileFetching} kills`);

  const { items } = await fleet.api.get<{ items: ArtifactVersion[] }>(`/artifacts?${QUERY}&run=${again.id}&limit=100`);
  problems.push(...(await storeProblems(fleet, options.storeFiles)), ...fleet.defects());
  return { killsWhileStoring, killsWhileFetching, versions: items.length, problems };

  /** Kills by turns an agent and a server, until the run has come to its end all the same. */
  async function killUntilEnded(run: string): Promise<number> {
    const deadline = performance.now() + RUN_TIMEOUT_MS;
    let kills = 0;
    for (let next = nextKill(random); ; ) {
      const { state, fault } = await fleet.api.get<RunDetail>(`/runs/${run}?${QUERY}`);
      if (isTerminal(RUN_TRANSITIONS, state)) {
        if (state !== "succeeded") problems.push(`run ${run} ${state}: ${fault?.message}`);
        return kills;
      }
      if (performance.now() > deadline) throw new Error(`run ${run} is still ${state}`);
      if (performance.now() > next) {
        const victim = kills % 2 === 0 ? pick(fleet.agents, random).part : pick(fleet.servers, random);
        const killedAt = Date.now();
        if (victim.kill()) kills += 1;
        await heardFromAll(killedAt);
        next = nextKill(random);
      }
      await sleep(LOOK_INTERVAL_MS, undefined, { signal });
    }
  }

  /** Kills that are closer than the starts of what they kill would only show how long these take. */
  async function heardFromAll(sinceMs: number): Promise<void> {
    const deadline = performance.now() + START_TIMEOUT_MS;
    for (;;) {
      const workers = await fleet.api.get<{ items: WorkerSummary[] }>(`/workers?${QUERY}`);
      if (workers.items.every(({ lastSeenAt }) => Date.parse(lastSeenAt ?? "") > sinceMs)) return;
      if (performance.now() > deadline) throw new Error(`agents were not heard for ${START_TIMEOUT_MS} ms`);
      await sleep(LOOK_INTERVAL_MS, undefined, { signal });
    }
  }

  function nextKill(from: Random): number {
    const { min, max } = options.killIntervalMs;
    return performance.now() + min + from() * (max - min);
  }

  async function workerOf(run: string): Promise<{ readonly id: string; readonly name: string }> {
    const { worker } = await fleet.api.get<RunDetail>(`/runs/${run}?${QUERY}`);
    if (worker === null) throw new Error(`run ${run} has no worker`);
    return worker;
  }
}

/** What of the store is not whole, and what a collection leaves behind that nothing refers to. */
async function storeProblems(fleet: Fleet, files: StoreFiles): Promise<string[]> {
  const problems: string[] = [];
  for (let cursor: string | undefined; ; ) {
    const body = cursor === undefined ? {} : { cursor };
    const page = await fleet.api.post<VerifyStorePage>(`/store/verify?${QUERY}`, body, STORE_TIMEOUT_MS);
    problems.push(...page.damaged.map(({ digest, fault }) => `blob ${digest} is ${fault}`));
    if (page.next === null) break;
    cursor = page.next;
  }
  await ageStore(files, fleet.postgres.url);
  await fleet.api.post(`/store/collect?${QUERY}`, { dryRun: false, graceMs: 0 }, STORE_TIMEOUT_MS);
  return [...problems, ...(await strayFiles(files, fleet.postgres.url))];
}
