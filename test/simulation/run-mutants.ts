import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import type { Mutant } from "./mutants.ts";
import { runChildren } from "./run-children.ts";

/** Most seeds that are tried for one mutant. */
const SEEDS_MAX = { memory: 1_500, postgres: 150 };
/** A seed that hangs for this long has found something, too. */
const HANGS_AFTER_MS = 60_000;
/** Of what was violated. */
const SHOWN_MAX_CHARS = 160;

/** Why the edits of a mutant do not fit the code; null when each text occurs once. */
export function misfitOf(root: string, { file, edits }: Pick<Mutant, "file" | "edits">): string | null {
  const text = readFileSync(join(root, file), "utf8");
  const wrong = edits.map(([find]) => [find, text.split(find).length - 1] as const).filter(([, times]) => times !== 1);
  return wrong.length === 0 ? null : wrong.map(([find, times]) => `${file} has ${times} times: ${find}`).join("; ");
}

/** Runs each mutant until a seed finds it; prints a table, and returns whether all were found. */
export async function runMutants(
  { root, seedsMax }: { readonly root: string; readonly seedsMax: number | null },
  mutants: readonly Mutant[],
  out: Pick<NodeJS.WritableStream, "write">,
): Promise<boolean> {
  let found = 0;
  const left = [...mutants];
  const work = async () => {
    for (let mutant = left.shift(); mutant !== undefined; mutant = left.shift()) {
      const seen = misfitOf(root, mutant) ?? (await firstViolation(root, mutant, seedsMax ?? SEEDS_MAX[mutant.store]));
      if (typeof seen !== "string") found += 1;
      const how = typeof seen === "string" ? `NOT CAUGHT  ${seen}` : `caught by seed ${seen.seed}: ${shown(seen.what)}`;
      out.write(`${mutant.name}\n    ${how}\n`);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  out.write(`${found} of ${mutants.length} mutants caught\n`);
  return found === mutants.length;
}

/** Tries the seed that is known to find it, then others. */
export async function firstViolation(
  root: string,
  { name, store, caughtBy }: Mutant,
  seeds: number = SEEDS_MAX[store],
): Promise<{ seed: number; what: string } | string> {
  const options = { root, mutant: name, store, processes: 1, first: true, silentMaxMs: HANGS_AFTER_MS } as const;
  const tries = [
    { seed: caughtBy, seeds: 1 },
    { seed: 1, seeds },
  ];
  for (const some of tries) {
    const results = await runChildren({ ...options, ...some });
    const bad = results.find(({ violations }) => violations.length > 0);
    if (bad !== undefined) return { seed: bad.seed, what: bad.violations[0]! };
  }
  return `by ${seeds} seeds`;
}

/** Ids say nothing. */
function shown(violation: string): string {
  return violation
    .replace(/_[0-9a-z]{26}/g, "")
    .split("\n")[0]!
    .slice(0, SHOWN_MAX_CHARS);
}
