import { superseded } from "../../protocol/cancel.ts";
import { BerthError } from "../../protocol/errors.ts";
import type { Concurrency } from "../../protocol/plan.ts";
import type { Services } from "../services.ts";
import type { Queryable } from "../store/database.ts";
import { appendServerEvents } from "../store/events.ts";
import { countHeldBack, type GroupRef, lockGroup, olderRuns, placeHolders } from "../store/groups.ts";
import { type Cancelled, cancelUnlessEnded } from "./cancel.ts";
import { givePlaces, recordAdmitted } from "./places.ts";

/** Runs named in a refusal. */
const RUNS_NAMED = 10;

/** A run that was just written, and held back if it has a group. */
export interface WrittenRun {
  readonly id: string;
  /** As people call it: `wine#12`. */
  readonly name: string;
}

/** A run that was made, and others that have to hear of it once the transaction is committed. */
export interface Entered {
  readonly id: string;
  readonly stopped: readonly (Cancelled & { readonly run: string })[];
  /** Others that got a place. */
  readonly admitted: readonly string[];
}

/**
 * The one gate of all new runs: `write` makes the run, and here it gets its place in its group, makes room for itself, or
 * is refused. Nothing before this in the transaction may lock the row of a run or pipeline.
 */
export async function enterGroup(
  client: Queryable,
  project: string,
  concurrency: Concurrency | null,
  write: () => Promise<WrittenRun>,
): Promise<Entered> {
  if (concurrency === null) return { id: (await write()).id, stopped: [], admitted: [] };
  const { policy, limit } = concurrency;
  const group = { project, group: concurrency.group };
  await lockGroup(client, group);
  if (policy === "refuse") await refuseIfBusy(client, group, limit);
  const run = await write();
  const stopped = policy === "cancel_older" ? await stopOlder(client, group, limit, run) : [];
  const admitted = await givePlaces(client, group);
  const others = admitted.filter((id) => id !== run.id);
  await recordAdmitted(client, group, others);
  if (!admitted.includes(run.id)) {
    const { id } = run;
    await appendServerEvents(client, { id, project }, [{ type: "run.held_back", group: group.group, limit }]);
  }
  return { id: run.id, stopped, admitted: others };
}

/** Wakes whoever has to hear of what came with a new run. */
export function announce({ wakeups }: Pick<Services, "wakeups">, { stopped, admitted }: Entered): void {
  wakeups.notify("queue");
  for (const { run, worker } of stopped) {
    wakeups.notify(`run:${run}`);
    if (worker !== null) wakeups.notify(`worker:${worker}`);
  }
  for (const run of admitted) wakeups.notify(`run:${run}`);
}

async function refuseIfBusy(client: Queryable, group: GroupRef, limit: number): Promise<void> {
  const holders = await placeHolders(client, group);
  if (holders.length < limit && (await countHeldBack(client, group, null)) === 0) return;
  const named = holders.slice(0, RUNS_NAMED).map(({ name }) => name);
  const more = holders.length > RUNS_NAMED ? ` and ${holders.length - RUNS_NAMED} more` : "";
  const who = named.length === 0 ? "others wait for its places" : `its places are held by ${named.join(", ")}${more}`;
  throw new BerthError("group_busy", `The group "${group.group}" is busy: ${who}.`, {
    advice: "Submit it again when they have ended, or cancel them; with policy: queue it would wait.",
    details: { group: group.group, limit, runs: holders.slice(0, RUNS_NAMED) },
  });
}

/** Stops what is older than the newest runs that have room; those that ended by themselves meanwhile stay as they are. */
async function stopOlder(
  client: Queryable,
  group: GroupRef,
  limit: number,
  run: WrittenRun,
): Promise<Entered["stopped"]> {
  const facts = superseded(run.name, group.group);
  const stopped: (Cancelled & { run: string })[] = [];
  // In the order of their ids, as everybody locks them who locks several.
  for (const older of (await olderRuns(client, group, { newest: run.id, kept: limit - 1 })).toSorted()) {
    const cancelled = await cancelUnlessEnded(client, { project: group.project, run: older, facts });
    if (cancelled?.changed) stopped.push({ ...cancelled, run: older });
  }
  return stopped;
}
