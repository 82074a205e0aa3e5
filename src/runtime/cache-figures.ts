/** How well a cache of blobs does, counted since its process began. */
export interface CacheFigures {
  /** Blobs that were asked for and were there, and those that were fetched. */
  readonly hits: number;
  readonly misses: number;
  readonly hitBytes: number;
  readonly fetchedBytes: number;
  readonly evictions: number;
  readonly evictedBytes: number;
}

export const NO_FIGURES: CacheFigures = {
  hits: 0,
  misses: 0,
  hitBytes: 0,
  fetchedBytes: 0,
  evictions: 0,
  evictedBytes: 0,
};

/** With one more blob that was asked for. */
export function withAsked(figures: CacheFigures, bytes: number, wasThere: boolean): CacheFigures {
  const { hits, hitBytes, misses, fetchedBytes } = figures;
  if (wasThere) return { ...figures, hits: hits + 1, hitBytes: hitBytes + bytes };
  return { ...figures, misses: misses + 1, fetchedBytes: fetchedBytes + bytes };
}

export function withEvicted(figures: CacheFigures, bytes: number): CacheFigures {
  return { ...figures, evictions: figures.evictions + 1, evictedBytes: figures.evictedBytes + bytes };
}
