/** Pairs of paths that many file systems take for one, and how many there are. */
export interface SimilarNames {
  readonly first: readonly [string, string];
  readonly count: number;
}

/**
 * Finds paths that differ only in upper and lower case, or in the Unicode form of their letters: two files on Linux, one
 * on the usual file systems of macOS and Windows. Null when there are none.
 */
export function similarNames(paths: Iterable<string>): SimilarNames | null {
  const seen = new Map<string, string>();
  let first: readonly [string, string] | null = null;
  let count = 0;
  for (const path of paths) {
    const folded = path.normalize("NFC").toLowerCase();
    const other = seen.get(folded);
    if (other === undefined) seen.set(folded, path);
    else {
      first ??= [other, path];
      count += 1;
    }
  }
  return first === null ? null : { first, count };
}
