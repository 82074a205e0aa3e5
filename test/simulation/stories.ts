import { PIPELINES, type PipelineName } from "./pipelines.ts";
import type { Trouble } from "./scenario.ts";
import type { Random } from "./world/random.ts";

/** What a scenario is about: what is aimed at, and how much of anything else happens beside it. */
export interface Story {
  readonly pipelines: readonly string[];
  /** One run each, at the latest then. */
  readonly submittedByMs: readonly number[];
  readonly machinesMax: number;
  readonly stepsAtOnceMin: number;
  readonly stepMaxMs: readonly number[];
  readonly stepTrouble: readonly number[];
  readonly platformWayMaxMs: readonly number[];
  /** The longest that one of the story's uploads takes. */
  readonly uploadMaxMs: number;
  readonly troubles: readonly Trouble[];
  /** Troubles of any kind, within so long. */
  readonly othersMax: number;
  readonly roughMs: number;
}

/** Most steps are short. */
const STEP_MAX_MS = [200, 200, 200, 500, 500, 2_000, 2_000, 10_000];
/** So long that a lease is lost under them. */
const LONG_STEP_MAX_MS = [10_000, 120_000];
const QUICK_STEP_MAX_MS = [60, 200, 500];

/** Of a story that takes as long as twenty others. */
const LONG_CHANCE = 0.01;

export function storyOf(random: Random): Story {
  return random.chance(LONG_CHANCE) ? awayPlatform(random) : random.pick(STORIES)(random);
}

const anything = (random: Random): Story => ({
  pipelines: Object.values(PIPELINES),
  submittedByMs: Array.from({ length: random.integer(1, 3) }, () => 15_000),
  machinesMax: random.integer(1, 3),
  stepsAtOnceMin: 1,
  stepMaxMs: STEP_MAX_MS,
  stepTrouble: [0, 0.1, 0.25],
  platformWayMaxMs: [15, 15, 400],
  uploadMaxMs: 0,
  troubles: [],
  othersMax: 6,
  roughMs: 20_000,
});

/** A worker that is cut off until its run was given to another one, while its steps go on. */
const cutOff = (random: Random): Story => ({
  ...anything(random),
  submittedByMs: [3_000],
  stepMaxMs: LONG_STEP_MAX_MS,
  troubles: [trouble("partition", random.integer(5_000, 20_000), random.integer(70_000, 120_000))],
  othersMax: 2,
  roughMs: 30_000,
});

/** Power is lost between two steps, of which nobody has heard yet: the journal's end is gone. */
const lostTail = (random: Random): Story => {
  const cuts = Array.from({ length: random.integer(1, 3) }, (_, index) => {
    const atMs = 1_000 + index * 6_000 + random.integer(0, 3_000);
    const unheard = random.pick(["partition", "store-outage", "outage"] as const);
    const forMs = random.integer(100, 1_500);
    return [trouble(unheard, atMs, forMs + 500), trouble("power-cut", atMs + forMs, random.integer(500, 2_000))];
  });
  return {
    ...anything(random),
    pipelines: pipelines("chain", "matrix", "cached"),
    submittedByMs: [500, 1_000, 6_000],
    machinesMax: 1,
    stepMaxMs: QUICK_STEP_MAX_MS,
    troubles: cuts.flat(),
    othersMax: 1,
  };
};

/** Outputs travel slowly, and the worker dies before they have arrived. */
const slowUploads = (random: Random): Story => ({
  ...anything(random),
  pipelines: pipelines("batch", "flow", "nested", "cached"),
  submittedByMs: [500, 1_000],
  stepMaxMs: QUICK_STEP_MAX_MS,
  uploadMaxMs: random.integer(500, 15_000),
  troubles: [trouble(random.pick(["kill-agent", "power-cut"]), random.integer(1_000, 8_000), random.integer(0, 3_000))],
  othersMax: 2,
});

/** Items of batches fail for good while their siblings run, and agents are started again. */
const failingBatches = (random: Random): Story => ({
  ...anything(random),
  pipelines: pipelines("batch", "nested", "once"),
  submittedByMs: [500, 2_000],
  machinesMax: 2,
  stepsAtOnceMin: 2,
  stepMaxMs: [500, 5_000],
  stepTrouble: [0.2, 0.4],
  troubles: Array.from({ length: random.integer(1, 4) }, () =>
    trouble(
      random.pick(["kill-agent", "kill-agent", "stop-agent"]),
      random.integer(500, 12_000),
      random.integer(0, 800),
    ),
  ),
  othersMax: 1,
});

/** A request of an earlier process of the agent arrives when a later one already works. */
const earlierProcess = (random: Random): Story => {
  const atMs = random.integer(500, 4_000);
  return {
    ...anything(random),
    submittedByMs: [2_000, 6_000],
    machinesMax: 2,
    stepMaxMs: [5_000, 20_000],
    troubles: [
      trouble("kill-agent", atMs, random.integer(0, 1_000)),
      trouble("old-boot", atMs + random.integer(2_000, 12_000), 0),
    ],
    othersMax: 2,
  };
};

/** Clocks are set while time limits pass. */
const limits = (random: Random): Story => ({
  ...anything(random),
  pipelines: pipelines("limited"),
  submittedByMs: [1_000, 4_000],
  machinesMax: 2,
  stepMaxMs: [2_000, 20_000],
  ...(random.chance(0.5) ? clocksOnly(random) : clocksAndKills(random)),
});

/** Without limits of steps, because a server that ends what is late would end what is stuck. */
const clocksOnly = (random: Random) => ({
  pipelines: pipelines("chain", "matrix"),
  troubles: [trouble("clock", random.integer(1_500, 5_000), 0)],
  othersMax: 0,
});

const clocksAndKills = (random: Random) => ({
  troubles: Array.from({ length: random.integer(2, 6) }, () =>
    trouble(random.pick(["clock", "kill-agent"]), random.integer(500, 12_000), random.integer(0, 800)),
  ),
  othersMax: 2,
});

/** Runs are cancelled, or fail, while steps are made ready on a slow platform. */
const cancelled = (random: Random): Story => ({
  ...anything(random),
  pipelines: pipelines("matrix", "batch", "once"),
  submittedByMs: [500, 2_000, 2_000],
  machinesMax: 1,
  stepMaxMs: [200, 2_000],
  stepTrouble: [0, 0.3],
  platformWayMaxMs: [400],
  troubles: [1, 2, 3].map(() => trouble("cancel", random.integer(500, 8_000), 0)),
  othersMax: 1,
});

/** The platform is away for so long that attempts are given up which run on behind its back. */
const awayPlatform = (random: Random): Story => ({
  ...anything(random),
  pipelines: pipelines("chain"),
  submittedByMs: [500],
  machinesMax: 1,
  stepMaxMs: [400_000],
  troubles: [trouble("platform-outage", random.integer(1_000, 4_000), random.integer(310_000, 330_000))],
  othersMax: 0,
});

/** A worker is away until its run was given to another one, and finds it where it left it. */
const comesBack = (random: Random): Story => ({
  ...anything(random),
  pipelines: pipelines("chain", "matrix", "batch"),
  submittedByMs: [500],
  machinesMax: 2,
  stepMaxMs: [2_000, 200_000],
  troubles: [trouble("kill-agent", random.integer(1_000, 5_000), random.integer(70_000, 125_000))],
  othersMax: 1,
});

const STORIES: readonly ((random: Random) => Story)[] = [
  ...[anything, anything, anything, anything],
  ...[
    anything,
    anything,
    cutOff,
    lostTail,
    lostTail,
    lostTail,
    slowUploads,
    slowUploads,
    failingBatches,
    failingBatches,
  ],
  ...[earlierProcess, limits, limits, cancelled, cancelled, comesBack],
];

function trouble(kind: Trouble["kind"], atMs: number, forMs: number): Trouble {
  return { kind, atMs, forMs };
}

function pipelines(...names: readonly PipelineName[]): string[] {
  return names.map((name) => PIPELINES[name]);
}
