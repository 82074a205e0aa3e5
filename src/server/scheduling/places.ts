import type { Services } from "../services.ts";
import type { Queryable } from "../store/database.ts";
import { appendServerEvents } from "../store/events.ts";
import {
  admitRuns,
  FRONT_MAX,
  type Front,
  frontOf,
  type GroupRef,
  groupsOf,
  groupsWithFreePlaces,
  lockGroup,
} from "../store/groups.ts";

/** Of groups, in one pass; the next comes soon. */
const GROUPS_PER_PASS = 200;

/**
 * How many of those who wait get a place now: in order, as long as the next one's own limit leaves room. One who has to
 * wait holds up those behind it, whatever their limits are, or it might wait for ever.
 */
export function admissible({ taken, waiting }: Front): number {
  const stuck = waiting.findIndex(({ limit }, index) => taken + index >= limit);
  return stuck < 0 ? waiting.length : stuck;
}

/** Gives the free places of a group to those who wait. The caller holds the group's lock. Says who got one. */
export async function givePlaces(client: Queryable, group: GroupRef): Promise<string[]> {
  const given: string[] = [];
  for (;;) {
    const front = await frontOf(client, group);
    const count = admissible(front);
    if (count > 0)
      given.push(
        ...(await admitRuns(
          client,
          front.waiting.slice(0, count).map(({ id }) => id),
        )),
      );
    if (count < FRONT_MAX) return given;
  }
}

/** Tells, in the streams of runs, that they got their places. */
export async function recordAdmitted(
  client: Queryable,
  { project, group }: GroupRef,
  runs: readonly string[],
): Promise<void> {
  for (const id of runs) await appendServerEvents(client, { id, project }, [{ type: "run.admitted", group }]);
}

type Parts = Pick<Services, "database" | "wakeups" | "log">;

/**
 * Passes on the places of runs that may have ended, after the commit that ended them: the lock of a group comes before
 * the row of a run. What ended them is done; if this fails, `giveAllPlaces` does it in a moment.
 */
export async function passPlacesOn(parts: Parts, runs: readonly string[]): Promise<void> {
  if (runs.length === 0) return;
  try {
    for (const group of await groupsOf(parts.database.pool, runs)) await giveGroup(parts, group);
  } catch (error) {
    parts.log.warn({ err: error, runs }, "passing the places of a group on failed; the server's next pass does it");
  }
}

/** The net: gives places that were not passed on, because a server died between the end of a run and the gift. */
export async function giveAllPlaces(parts: Parts): Promise<void> {
  for (const group of await groupsWithFreePlaces(parts.database.pool, GROUPS_PER_PASS)) await giveGroup(parts, group);
}

async function giveGroup({ database, wakeups }: Parts, group: GroupRef): Promise<void> {
  const given = await database.transaction(async (client) => {
    await lockGroup(client, group);
    const admitted = await givePlaces(client, group);
    await recordAdmitted(client, group, admitted);
    return admitted;
  });
  for (const run of given) wakeups.notify(`run:${run}`);
  if (given.length > 0) wakeups.notify("queue");
}
