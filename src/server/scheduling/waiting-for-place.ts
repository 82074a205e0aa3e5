import type { Run, Waiting, WaitingForPlace } from "../../protocol/resources.ts";
import type { Queryable } from "../store/database.ts";
import { countHeldBack, placeHolders } from "../store/groups.ts";
import { explainWaiting } from "./waiting.ts";

/** Holders named in a sentence. */
const NAMED = 5;

/** Why a queued run waits: for a place in its group, if it is held back, and for each worker why it does not take it. */
export async function explainQueued(db: Queryable, project: string, run: Run): Promise<Waiting> {
  const workers = await explainWaiting(db, project, run);
  const place = await findPlace(db, project, run);
  return place === null ? workers : beforeWorkers(place, workers);
}

async function findPlace(
  db: Queryable,
  project: string,
  { id, concurrency }: Pick<Run, "id" | "concurrency">,
): Promise<WaitingForPlace | null> {
  if (concurrency === null || !concurrency.heldBack) return null;
  const { group, limit } = concurrency;
  const holders = await placeHolders(db, { project, group });
  return { group, limit, holders, before: await countHeldBack(db, { project, group }, id) };
}

/** Puts the wait for a place before the wait for a worker, which matters only where no worker could take the run. */
export function beforeWorkers(place: WaitingForPlace, workers: Waiting): Waiting {
  const then = workers.possible ? "" : ` ${workers.summary}`;
  return { ...workers, place, summary: `${summarisePlace(place)}${then}` };
}

function summarisePlace({ group, limit, holders, before }: WaitingForPlace): string {
  const named = holders.slice(0, NAMED).map(({ name, state }) => (state === "running" ? name : `${name} (${state})`));
  const more = holders.length > NAMED ? ` and ${holders.length - NAMED} more` : "";
  const held =
    named.length === 0 ? [] : [`${named.join(", ")}${more} ${holders.length === 1 ? "holds" : "hold"} a place`];
  const ahead = before === 0 ? [] : [before === 1 ? "1 run is before it" : `${before} runs are before it`];
  const why = [...held, ...ahead].join(", and ");
  const rule = `The group "${group}" has ${limit === 1 ? "1 place" : `${limit} places`}`;
  return `${rule}: ${why === "" ? "it is about to get one" : why}.`;
}
