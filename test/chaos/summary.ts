import type { ChaosResult } from "./chaos-run.ts";

/** What may be said of each count at most. */
const SHOWN_MAX = 20;

const TITLES = {
  lost: "lost",
  duplicated: "duplicated",
  overlapping: "overlapping",
  stale: "stale writes",
  logGaps: "log gaps",
  wrongBytes: "wrong bytes",
  leftovers: "leftovers",
  defects: "crashes and internal errors",
} as const;

/** Every count that the promise is about, each with what was found. */
export function summary({
  runs,
  attempts,
  cached,
  handOvers,
  faults,
  verdict,
  leftovers,
  defects,
}: ChaosResult): string {
  const found = { ...verdict, leftovers, defects };
  const injected = Object.entries(faults).toSorted(([left], [right]) => left.localeCompare(right));
  return [
    row("runs", runs),
    row("attempts", attempts),
    row("results taken from the cache", cached),
    row("leased again", handOvers),
    row(
      "injected faults",
      injected.reduce((total, [, count]) => total + count, 0),
    ),
    ...injected.map(([name, count]) => row(`  ${name}`, count)),
    ...Object.entries(TITLES).flatMap(([name, title]) => {
      const entries = found[name as keyof typeof TITLES];
      return [row(title, entries.length), ...entries.slice(0, SHOWN_MAX).map((entry) => `    ${entry}`)];
    }),
  ].join("\n");
}

/** Whether anything was found that must not be. */
export function isClean({ verdict, leftovers, defects }: ChaosResult): boolean {
  return (
    leftovers.length === 0 && defects.length === 0 && Object.values(verdict).every((entries) => entries.length === 0)
  );
}

function row(title: string, count: number): string {
  return `${title.padEnd(42)}${count}`;
}
