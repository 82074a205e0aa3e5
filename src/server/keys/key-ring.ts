import { BerthError } from "../../protocol/errors.ts";
import { KEY_ID_BYTES, type Sealer } from "../sealer.ts";

/**
 * What the keys of projects, and the secrets of triggers, are wrapped under: keys that are not in the database. They may
 * lie in a file, in the environment, or in a key management service that never gives them out, so that each use of one is
 * a request that can fail. The newest key wraps, every one of them unwraps. What was wrapped for one `place`, such as
 * `triggers/trg_…/secret`, opens at no other; it begins with a byte of version and the name of its key, see `keyNameOf`.
 * All methods may be called at the same time, within transactions too: an implementation answers in seconds, or fails.
 */
export interface KeyRing {
  /** Names the newest key, in hexadecimal; null without one. It says nothing of the key itself. */
  readonly newest: string | null;
  /** Whether the ring has the key of this name; not whether the key can be used now. */
  has(key: string): boolean;
  /** Throws `unavailable` while the key cannot be used. */
  seal(place: string, secret: Uint8Array | string): Promise<Buffer>;
  /** The same, or `secret_unreadable` where it was changed, moved, or is wrapped under a key that the ring lacks. */
  open(place: string, sealed: Buffer): Promise<Buffer>;
  /** Uses the newest key once, so that a server that could not keep secrets does not start; throws as the others do. */
  check(): Promise<void>;
}

/** Keys that this process has itself. */
export function localRing(sealer: Sealer): KeyRing {
  return {
    newest: sealer.newest,
    has: (key) => sealer.has(key),
    seal: async (place, secret) => sealer.seal(place, secret),
    open: async (place, sealed) => sealer.open(place, sealed),
    check: async () => {},
  };
}

/** Of several rings, the last of which has the newest key. */
export function joinRings(rings: readonly KeyRing[]): KeyRing {
  const newest = rings.at(-1);
  if (newest === undefined) throw new Error("no rings to join");
  if (rings.length === 1) return newest;
  return {
    newest: newest.newest,
    has: (key) => rings.some((ring) => ring.has(key)),
    seal: (place, secret) => newest.seal(place, secret),
    open: (place, sealed) => {
      const key = sealed.subarray(1, 1 + KEY_ID_BYTES).toString("hex");
      return (rings.find((ring) => ring.has(key)) ?? newest).open(place, sealed);
    },
    check: () => newest.check(),
  };
}

/** Of a server without a key: it can do all that needs no secret. */
export const NO_KEYS: KeyRing = {
  newest: null,
  has: () => false,
  seal: () => noKey("conflict"),
  open: () => noKey("secret_unreadable"),
  check: async () => {},
};

async function noKey(code: "conflict" | "secret_unreadable"): Promise<never> {
  throw new BerthError(code, "This server has no key to keep secrets with.", {
    advice:
      "On each server, set BERTH_SECRET_KEY_FILE to a file with the same 32 random bytes in base64: openssl rand -base64 32",
  });
}
