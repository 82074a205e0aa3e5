import { FAIR, type Weather } from "./network.ts";
import { type Story, storyOf } from "./stories.ts";
import type { Random } from "./world/random.ts";

/** One thing that goes wrong, and for how long. */
export interface Trouble {
  readonly atMs: number;
  readonly kind:
    | "kill-agent"
    | "stop-agent"
    | "power-cut"
    | "partition"
    | "half-open"
    | "kill-server"
    | "outage"
    | "store-outage"
    | "platform-outage"
    | "vanish"
    | "cancel"
    | "drain"
    | "clock"
    | "old-boot";
  readonly forMs: number;
}

/** What a seed decides before anything happens. */
export interface Scenario {
  readonly machines: readonly { readonly slots: number; readonly stepsAtOnce: number }[];
  readonly submissions: readonly { readonly atMs: number; readonly pipeline: string }[];
  readonly troubles: readonly Trouble[];
  readonly weather: Weather;
  /** Of a step to go wrong. */
  readonly stepTrouble: number;
  readonly recoveryAfterMs: number;
  /** The longest that the way to a platform, and back, takes. */
  readonly platformWayMaxMs: number;
  /** A step takes up to one of these. */
  readonly stepMaxMs: readonly number[];
  /** From here on nothing goes wrong any more. */
  readonly quietAtMs: number;
}

/** The longest that each kind lasts; those of no length happen at once. */
const LASTS_MAX_MS: Readonly<Record<Trouble["kind"], number>> = {
  "kill-agent": 15_000,
  "stop-agent": 15_000,
  "power-cut": 30_000,
  partition: 150_000,
  "half-open": 120_000,
  "kill-server": 30_000,
  outage: 100_000,
  "store-outage": 40_000,
  "platform-outage": 20_000,
  vanish: 0,
  cancel: 0,
  drain: 30_000,
  clock: 0,
  "old-boot": 0,
};
/** Most troubles are over soon: many short stories show more than a few long ones. */
const BRIEF = 0.1;
const LONG_CHANCE = 0.2;

const OFTEN: readonly Trouble["kind"][] = [
  "kill-agent",
  "kill-agent",
  "power-cut",
  "partition",
  "half-open",
  "kill-server",
];
const KINDS = [...(Object.keys(LASTS_MAX_MS) as Trouble["kind"][]), ...OFTEN];

export function scenarioOf(random: Random): Scenario {
  const story = storyOf(random);
  const troubles = [...story.troubles, ...anyTroubles(random, story)];
  const lastMs = Math.max(...story.submittedByMs, ...troubles.map(({ atMs, forMs }) => atMs + forMs));
  return {
    machines: Array.from({ length: random.integer(1, story.machinesMax) }, () => ({
      slots: random.integer(1, 2),
      stepsAtOnce: random.integer(story.stepsAtOnceMin, 4),
    })),
    submissions: story.submittedByMs.map((ms) => ({
      atMs: random.integer(0, ms),
      pipeline: random.pick(story.pipelines),
    })),
    troubles,
    weather: { ...(random.chance(0.4) ? FAIR : weatherOf(random)), uploadMaxMs: story.uploadMaxMs },
    stepTrouble: random.pick(story.stepTrouble),
    platformWayMaxMs: random.pick(story.platformWayMaxMs),
    recoveryAfterMs: random.pick([5_000, 30_000]),
    stepMaxMs: story.stepMaxMs,
    quietAtMs: lastMs + 1_000,
  };
}

function anyTroubles(random: Random, { othersMax, roughMs }: Story): Trouble[] {
  return Array.from({ length: random.integer(0, othersMax) }, () => {
    const kind = random.pick(KINDS);
    const share = random.chance(LONG_CHANCE) ? 1 : BRIEF;
    return { kind, atMs: random.integer(0, roughMs), forMs: random.integer(0, LASTS_MAX_MS[kind] * share) };
  });
}

function weatherOf(random: Random): Weather {
  const some = () => (random.chance(0.5) ? 0 : random.next() * 0.15);
  return { loss: some() / 3, breaks: some(), duplicates: some(), late: some() / 2, uploadMaxMs: 0 };
}
