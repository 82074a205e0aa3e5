import { FAIR, type Weather } from "./network.ts";
import { PIPELINES } from "./pipelines.ts";
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
    | "clock";
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
  /** Whether steps take so long that a lease can be lost under one. */
  readonly longSteps: boolean;
  /** From here on nothing goes wrong any more. */
  readonly quietAtMs: number;
}

const ROUGH_MS = 60_000;
const TROUBLES_MAX = 9;

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
  clock: 60_000,
};

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
  // A worker that is cut off until its run was given to another one, while its steps go on.
  const longSteps = random.chance(0.2);
  const cutOff: Trouble[] = longSteps
    ? [{ kind: "partition", atMs: random.integer(5_000, 30_000), forMs: random.integer(90_000, 150_000) }]
    : [];
  const others = Array.from({ length: random.integer(1, TROUBLES_MAX) }, () => {
    const kind = random.pick(KINDS);
    return { kind, atMs: random.integer(0, ROUGH_MS), forMs: random.integer(0, LASTS_MAX_MS[kind]) };
  });
  const troubles = [...cutOff, ...(longSteps ? others.slice(0, 2) : others)];
  return {
    longSteps,
    machines: Array.from({ length: random.integer(1, 3) }, () => ({
      slots: random.integer(1, 2),
      stepsAtOnce: random.integer(1, 4),
    })),
    submissions: Array.from({ length: random.integer(1, 4) }, () => ({
      atMs: random.integer(0, ROUGH_MS / 2),
      pipeline: random.pick(PIPELINES),
    })),
    troubles,
    weather: random.chance(0.3) ? FAIR : weatherOf(random),
    stepTrouble: random.pick([0, 0.1, 0.25]),
    recoveryAfterMs: random.pick([5_000, 30_000]),
    quietAtMs: Math.max(ROUGH_MS, ...troubles.map(({ atMs, forMs }) => atMs + forMs)),
  };
}

function weatherOf(random: Random): Weather {
  const some = () => (random.chance(0.5) ? 0 : random.next() * 0.15);
  return { loss: some() / 3, breaks: some(), duplicates: some(), late: some() / 2 };
}
