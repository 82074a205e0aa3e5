import { createHash } from "node:crypto";
import type { KeyRing } from "./key-ring.ts";

/** A key that a service was told to take away may be used for as long here. */
const KEPT_MS = 5 * 60_000;
/** Keys of projects and secrets of triggers; more than are in use within that time at most installations. */
const ENTRIES_MAX = 1_000;

/**
 * Keeps what was opened for a while, in memory, so that a service is not asked for each attempt and each delivery, and a
 * short outage of it stops nothing. Those who ask for the same at once share the request.
 */
export function remembering(ring: KeyRing): KeyRing {
  const kept = new Map<string, { readonly until: number; readonly opened: Promise<Buffer> }>();
  return {
    newest: ring.newest,
    has: (key) => ring.has(key),
    seal: (place, secret) => ring.seal(place, secret),
    check: () => ring.check(),
    open(place, sealed) {
      const id = createHash("sha256").update(JSON.stringify(place)).update(sealed).digest("base64");
      const now = performance.now();
      const known = kept.get(id);
      if (known !== undefined && known.until > now) return known.opened;
      const opened = ring.open(place, sealed);
      kept.delete(id);
      if (kept.size >= ENTRIES_MAX) kept.delete(kept.keys().next().value!);
      kept.set(id, { until: now + KEPT_MS, opened });
      opened.catch(() => {
        if (kept.get(id)?.opened === opened) kept.delete(id);
      });
      return opened;
    },
  };
}
