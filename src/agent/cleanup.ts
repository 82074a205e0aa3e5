import { basename } from "node:path";
import type { Logger } from "pino";
import type { LeaseRef } from "../protocol/agent-api.ts";
import type { OpenBackend } from "./agent-context.ts";
import type { AgentConfig } from "./config.ts";
import { listAttemptParts, listRunFolders, listSecretFolders, scopeOf, scopeOfAttempt } from "./run-folder.ts";

/** An object that no journal knows is only believed to be nobody's after this. */
const ORPHAN_AGE_MS = 60 * 60 * 1000;

export interface OrphanSweep {
  readonly home: string;
  readonly backends: ReadonlyMap<string, OpenBackend>;
  /** Leases that something on this worker still works for. */
  readonly live: readonly LeaseRef[];
  readonly nowMs: number;
  readonly log: Logger;
}

/**
 * Releases objects that belong to this agent (their folder is in its home) and to none of its runs. It fails closed: a
 * platform that cannot list everything is left alone, and so is what is younger than an hour.
 */
export async function releaseOrphans({ home, backends, live, nowMs, log }: OrphanSweep): Promise<number> {
  const liveScopes = new Set(live.map(scopeOf));
  let released = 0;
  for (const [name, { session, healthy }] of backends) {
    if (!healthy) continue;
    try {
      for (const { handle, createdAtMs } of await Array.fromAsync(session.list())) {
        const scope = scopeOfAttempt(home, handle.folder);
        if (scope === null || liveScopes.has(scope) || nowMs - createdAtMs < ORPHAN_AGE_MS) continue;
        log.warn({ backend: name, object: handle.name, ref: handle.ref }, "releasing an object that no journal knows");
        await session.release(handle, { force: true });
        released += 1;
      }
    } catch (error) {
      log.warn({ err: error, backend: name }, "left-over objects could not be looked for");
    }
  }
  return released;
}

/** Of leases that something works for, or that have a journal. */
function knownScopes(home: string, live: readonly LeaseRef[]): ReadonlySet<string> {
  return new Set([...live.map(scopeOf), ...listRunFolders(home).map((folder) => basename(folder))]);
}

/** Attempt folders of leases that nothing works for any more and that have no journal either. */
export function abandonedAttemptFolders(home: string, live: readonly LeaseRef[]): string[] {
  const known = knownScopes(home, live);
  return listAttemptParts(home)
    .filter(({ scope }) => scope !== null && !known.has(scope))
    .map(({ folder }) => folder);
}

/** Secrets of leases that nothing works for any more, such as those whose agent was killed when it was just fenced. */
export function abandonedSecretFolders(
  home: string,
  config: Pick<AgentConfig, "secretsFolder">,
  live: readonly LeaseRef[],
): string[] {
  const known = knownScopes(home, live);
  return listSecretFolders(home, config)
    .filter(({ scope }) => !known.has(scope))
    .map(({ folder }) => folder);
}

/** Run folders that nothing works for any more: a driver failed to remove them. */
export function abandonedRunFolders(folders: readonly string[], live: readonly LeaseRef[]): string[] {
  const liveScopes = new Set(live.map(scopeOf));
  return folders.filter((folder) => !liveScopes.has(basename(folder)));
}
