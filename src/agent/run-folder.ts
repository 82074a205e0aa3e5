import { readdirSync } from "node:fs";
import { basename, join, relative, sep } from "node:path";
import type { LeaseRef } from "../protocol/agent-api.ts";
import { secretsParent } from "../runtime/secret-folder.ts";
import type { AgentConfig } from "./config.ts";

/** The folders of an agent's home that hold runs, one per lease: `<agentHome>/runs/<run>.<epoch>/…`. */
export function runsFolder(home: string): string {
  return join(home, "runs");
}

/** Everything of one run under one lease but its attempts: its journal, source and build logs. */
export function runFolder(home: string, { run, epoch }: LeaseRef): string {
  return join(runsFolder(home), `${run}.${epoch}`);
}

/** What the attempts of one lease share on a platform. Another lease of the same run shares nothing with it. */
export function scopeOf({ run, epoch }: LeaseRef): string {
  return `${run}.${epoch}`;
}

/**
 * The folders of attempts, a bounded number in each: `<agentHome>/attempts/<run>.<epoch>.<n>/<object>`. Why they are
 * apart from the run's other files, and from each other, is told in spread-folders.ts.
 */
export function attemptsFolder(home: string): string {
  return join(home, "attempts");
}

/** One attempt's folder, named like its object so that paths stay short and legal everywhere. */
export function attemptFolder(home: string, lease: LeaseRef, part: number, object: string): string {
  return join(attemptsFolder(home), `${scopeOf(lease)}.${part}`, object);
}

/** Where the secrets of an attempt lie, in memory. */
export function secretFolder(
  home: string,
  { secretsFolder }: Pick<AgentConfig, "secretsFolder">,
  lease: LeaseRef,
  object: string,
): string {
  return join(secretsParent(home, secretsFolder), `${scopeOf(lease)}.${object}`);
}

/** The same of all attempts that are on this worker, with the lease that each belongs to. */
export function listSecretFolders(
  home: string,
  { secretsFolder }: Pick<AgentConfig, "secretsFolder">,
): { readonly folder: string; readonly scope: string }[] {
  return listFolders(secretsParent(home, secretsFolder)).map((folder) => ({
    folder,
    scope: basename(folder).split(".", 2).join("."),
  }));
}

/** The lease, as scopeOf names it, that an attempt folder below this home belongs to; null for another agent's. */
export function scopeOfAttempt(home: string, folder: string): string | null {
  const [part = ""] = relative(attemptsFolder(home), folder).split(sep);
  return scopeOfPart(part);
}

/** Everything that the attempts of runs left, with the lease that it belongs to. */
export function listAttemptParts(home: string): { readonly folder: string; readonly scope: string | null }[] {
  return listFolders(attemptsFolder(home)).map((folder) => ({ folder, scope: scopeOfPart(basename(folder)) }));
}

function scopeOfPart(part: string): string | null {
  return /^(run_[0-9a-z]+\.\d+)\.\d+$/.exec(part)?.[1] ?? null;
}

/** The folders of runs that are on this worker. */
export function listRunFolders(home: string): string[] {
  return listFolders(runsFolder(home));
}

function listFolders(parent: string): string[] {
  try {
    return readdirSync(parent, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => join(parent, name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
