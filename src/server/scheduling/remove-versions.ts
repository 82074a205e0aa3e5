import { BerthError } from "../../protocol/errors.ts";
import { recordAudit } from "../store/audit.ts";
import type { Database } from "../store/database.ts";
import { takeContents } from "../store/expiry.ts";
import { RESTARTABLE_DAYS, runsNeeding } from "../store/needed-versions.ts";
import { type LockedVersion, lockOwnItems, type MarkedVersion } from "../store/version-marks.ts";

/** Of one statement. */
const VERSIONS_PER_STATEMENT = 1_000;
const RUNS_NAMED = 5;

export interface RemoveRequest extends MarkedVersion {
  readonly project: string;
  /** What it is called in messages. */
  readonly name: string;
  readonly by: string;
  /** Removes what is pinned, too, and what only a restart would need; never what a run needs that has not ended. */
  readonly force: boolean;
}

/** Removes the content of a version, or of one item, now; returns how many items that were. All of it or nothing. */
export async function removeVersions(database: Database, request: RemoveRequest): Promise<number> {
  return database.transaction(async (client) => {
    const locked = await lockOwnItems(client, request);
    for (let start = 0; start < locked.length; start += VERSIONS_PER_STATEMENT) {
      const part = locked.slice(start, start + VERSIONS_PER_STATEMENT);
      const ids = part.map(({ id }) => id);
      refuseNeeded(request, part, await runsNeeding(client, ids, RUNS_NAMED));
      await takeContents(
        client,
        ids.map((id) => ({ id, by: `removed by ${request.by}` })),
      );
    }
    if (locked.length > 0) {
      const { project, name, item, force } = request;
      const details = { item, items: locked.length, force };
      await recordAudit(client, { project, action: "artifact.remove", subject: name, details });
    }
    return locked.length;
  });
}

function refuseNeeded(
  { name, force }: RemoveRequest,
  versions: readonly LockedVersion[],
  needing: Awaited<ReturnType<typeof runsNeeding>>,
): void {
  const all = [...needing.values()].flat();
  const live = [...new Set(all.filter((run) => run.live).map(({ run }) => run))];
  if (live.length > 0) {
    throw refused(name, `${someOf(live)} needs it and has not ended`, {
      advice: `Wait for its end, or cancel it: berth cancel ${live[0]}`,
      runs: live,
    });
  }
  if (force) return;
  const pinned = versions.find(({ pinnedBy }) => pinnedBy !== null);
  if (pinned !== undefined) {
    const reason = pinned.pinReason === null ? "" : ` (${pinned.pinReason})`;
    throw refused(name, `${pinned.pinnedBy} pinned it${reason}`, {
      advice: "Unpin it first, or remove it all the same with --force.",
    });
  }
  const restartable = [...new Set(all.map(({ run }) => run))];
  if (restartable.length === 0) return;
  throw refused(name, `${someOf(restartable)} did not succeed, and may be restarted from it`, {
    advice: `It stays for ${RESTARTABLE_DAYS} days after the end of the run; --force removes it all the same.`,
    runs: restartable,
  });
}

function someOf(runs: readonly string[]): string {
  const named = runs.slice(0, RUNS_NAMED).join(", ");
  return runs.length > RUNS_NAMED ? `${named} and others` : named;
}

function refused(
  name: string,
  why: string,
  { advice, runs }: { readonly advice: string; readonly runs?: readonly string[] },
): BerthError {
  return new BerthError("conflict", `${name} cannot be removed: ${why}.`, {
    advice,
    ...(runs === undefined ? {} : { details: { runs } }),
  });
}
