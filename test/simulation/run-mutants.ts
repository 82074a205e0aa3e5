import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import type { Mutant } from "./mutants.ts";
import { runChildren } from "./run-children.ts";

/** Most seeds that are tried for one mutant. */
const SEEDS_MAX = { memory: 1_500, postgres: 150 };
/** A seed that hangs for this long has found something, too. */
const HANGS_AFTER_MS = 60_000;

/** What of a checkout a simulation needs. */
const PARTS = ["src", "test/simulation", "test/setup", "package.json"];

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
  for (const mutant of mutants) {
    const seen = misfitOf(root, mutant) ?? (await firstViolation(root, mutant, seedsMax ?? SEEDS_MAX[mutant.store]));
    if (typeof seen !== "string") found += 1;
    const how =
      typeof seen === "string" ? `NOT CAUGHT  ${seen}` : `caught by seed ${seen.seed}: ${seen.what.slice(0, 110)}`;
    out.write(`${mutant.name}\n    ${how}\n`);
  }
  out.write(`${found} of ${mutants.length} mutants caught\n`);
  return found === mutants.length;
}

export async function firstViolation(
  root: string,
  mutant: Mutant,
  seeds: number = SEEDS_MAX[mutant.store],
): Promise<{ seed: number; what: string } | string> {
  const folder = mkdtempSync(join(tmpdir(), "berth-mutant-"));
  try {
    for (const part of PARTS) cpSync(join(root, part), join(folder, part), { recursive: true });
    symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
    const file = join(folder, mutant.file);
    const mutated = mutant.edits.reduce(
      (text, [find, replace]) => text.replace(find, () => replace),
      readFileSync(file, "utf8"),
    );
    writeFileSync(file, mutated);
    const results = await runChildren({
      ...{ root: folder, seed: 1, seeds, store: mutant.store, processes: availableParallelism(), first: true },
      silentMaxMs: HANGS_AFTER_MS,
    });
    const bad = results.find(({ violations }) => violations.length > 0);
    if (bad !== undefined) return { seed: bad.seed, what: bad.violations[0]! };
    return `by ${results.length} seeds`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
