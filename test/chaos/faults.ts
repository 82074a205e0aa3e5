import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Cut } from "./agent-network.ts";
import type { Fleet, FleetAgent } from "./fleet.ts";

/** Everything that chaos does to a fleet. */

const PAUSE_MAX_MS = 8_000;
/** A partition that a retry or two gets over. */
const SHORT_CUT_MAX_MS = 10_000;
/** Beyond the lease, with the server's next look and a little more: the runs go to another worker. */
const GONE_MS = 75_000;
/** After a server was killed its connections are gone for sure. */
const HALF_OPEN_MS = 1_000;

export interface Fault {
  readonly name: string;
  /** How long it is felt; it is only done when there is that much time left. */
  readonly lastsMs: number;
  /** Says whether there was something to break. */
  act(fleet: Fleet, random: Random): boolean;
}

export type Random = () => number;

/** The kinds of faults that this fleet can be given. */
export function faultsFor(fleet: Fleet): readonly Fault[] {
  return fleet.agents.some(({ network }) => network !== null) ? [...DEATHS, ...PARTITIONS] : DEATHS;
}

const DEATHS: readonly Fault[] = [
  { name: "server killed", lastsMs: 0, act: ({ servers }, random) => pick(servers, random).kill() },
  { name: "agent killed", lastsMs: 0, act: ({ agents }, random) => pick(agents, random).part.kill() },
  { name: "PostgreSQL killed", lastsMs: 0, act: ({ postgres }) => signal(postgres.pid, "SIGKILL") },
  {
    name: "server stopped and continued",
    lastsMs: PAUSE_MAX_MS,
    act: ({ servers }, random) => pick(servers, random).pauseFor(random() * PAUSE_MAX_MS),
  },
  {
    name: "agent stopped and continued",
    lastsMs: PAUSE_MAX_MS,
    act: ({ agents }, random) => pick(agents, random).part.pauseFor(random() * PAUSE_MAX_MS),
  },
  {
    name: "PostgreSQL stopped and continued",
    lastsMs: PAUSE_MAX_MS,
    act: ({ postgres }, random) => pauseTree(postgres.pid, random() * PAUSE_MAX_MS),
  },
  {
    name: "agent gone until its leases ran out",
    lastsMs: GONE_MS,
    act: (fleet) => onlyOne(fleet, ({ part }) => part.killFor(GONE_MS)),
  },
  {
    name: "agent stopped until its leases ran out",
    lastsMs: GONE_MS,
    act: (fleet) => onlyOne(fleet, ({ part }) => part.freezeFor(GONE_MS)),
  },
];

const PARTITIONS: readonly Fault[] = [
  partition("agent cut off", "everything"),
  partition("agent's requests dropped", "requests"),
  partition("servers' answers dropped", "answers"),
  {
    name: "connections left half-open",
    lastsMs: HALF_OPEN_MS,
    act: ({ agents, servers }, random) => {
      const agent = pick(agents, random);
      if (!cutFor(agent, "everything", HALF_OPEN_MS)) return false;
      for (const server of servers) server.kill();
      return true;
    },
  },
  {
    name: "agent cut off until its leases ran out",
    lastsMs: GONE_MS,
    act: (fleet) =>
      onlyOne(fleet, (agent) => {
        if (!cutFor(agent, "everything", GONE_MS)) return false;
        agent.part.goneFor(GONE_MS);
        return true;
      }),
  },
];

function partition(name: string, cut: Cut): Fault {
  return {
    name,
    lastsMs: SHORT_CUT_MAX_MS,
    act: ({ agents }, random) => cutFor(pick(agents, random), cut, (0.1 + 0.9 * random()) * SHORT_CUT_MAX_MS),
  };
}

/** One cut per agent at a time: what heals one would heal the other. */
function cutFor(agent: FleetAgent, what: Cut, ms: number): boolean {
  const { network } = agent;
  if (network === null || agent.cutUntil > performance.now()) return false;
  agent.cutUntil = performance.now() + ms;
  network.cut(what);
  setTimeout(() => network.heal(), ms).unref();
  return true;
}

/** One agent at a time may be gone for long, and by turns: the others have its runs to do. */
function onlyOne(fleet: Fleet, act: (agent: FleetAgent) => boolean): boolean {
  if (performance.now() < fleet.goneUntil) return false;
  const agent = fleet.agents[fleet.timesGone % fleet.agents.length]!;
  if (agent.cutUntil > performance.now() || !act(agent)) return false;
  fleet.timesGone += 1;
  fleet.goneUntil = performance.now() + GONE_MS;
  return true;
}

/** PostgreSQL is a process per connection: all of them stop together, and go on together. */
function pauseTree(pid: number, ms: number): boolean {
  const all = [pid, ...childrenOf(pid)].filter((each) => signal(each, "SIGSTOP"));
  if (all.length === 0) return false;
  void sleep(ms, undefined, { ref: false }).then(() => {
    for (const each of all) signal(each, "SIGCONT");
  });
  return true;
}

function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/** False when it is gone already, and not back yet. */
function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, name);
  } catch {
    return false;
  }
}

export function pick<T>(list: readonly T[], random: Random): T {
  return list[Math.floor(random() * list.length)]!;
}

/** The same faults in the same order for the same seed; when exactly they strike is the machine's affair. */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

export function shuffled<T>(list: readonly T[], random: Random): T[] {
  return list
    .map((value) => ({ value, place: random() }))
    .toSorted((left, right) => left.place - right.place)
    .map(({ value }) => value);
}
