/**
 * What was used this recently is not removed from a cache: between "it is there" and its use, and between adoption and the
 * hold that its owner takes, there is always a moment.
 */
export const USED_LATELY_MS = 60_000;

export function usedLately(usedAtMs: number, nowMs = Date.now()): boolean {
  return usedAtMs > nowMs - USED_LATELY_MS;
}
