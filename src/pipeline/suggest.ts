import { quote } from "./problem.ts";

/** Names and keys are shorter; a longer text is no typing mistake of one of them. */
const COMPARED_MAX_CHARS = 64;

/** `, did you mean "image"?`, or nothing where no candidate is close. */
export function didYouMean(wrong: string, candidates: Iterable<string>): string {
  const best = closest(wrong, candidates);
  return best === null ? "" : `, did you mean ${quote(best)}?`;
}

/** The candidate that takes the fewest typing mistakes to become `wrong`, if they are few for its length. */
export function closest(wrong: string, candidates: Iterable<string>): string | null {
  if (wrong.length > COMPARED_MAX_CHARS) return null;
  const limit = Math.max(1, Math.floor(wrong.length / 3));
  let best: string | null = null;
  let bestDistance = limit + 1;
  for (const candidate of candidates) {
    if (candidate.length > COMPARED_MAX_CHARS || Math.abs(candidate.length - wrong.length) >= bestDistance) continue;
    const distance = editDistance(wrong.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** Insertions, deletions, replacements and swaps of neighbours (optimal string alignment). */
function editDistance(from: string, to: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const replaced = last[column - 1]! + (from[row - 1] === to[column - 1] ? 0 : 1);
      let distance = Math.min(replaced, last[column]! + 1, current[column - 1]! + 1);
      const swapped =
        row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1]
          ? beforeLast[column - 2]! + 1
          : Number.POSITIVE_INFINITY;
      distance = Math.min(distance, swapped);
      current.push(distance);
    }
    beforeLast = last;
    last = current;
  }
  return last[to.length]!;
}
