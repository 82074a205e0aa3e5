import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";
import { BerthError } from "../protocol/errors.ts";

/**
 * Keeps secrets in the database so that the database alone gives none away: AES-256-GCM under keys that this process has. The newest key seals, every one of them opens, so that a key is replaced without a moment in which nothing can
 * be read. `place` says which secret it is, such as `triggers/trg_…/secret`; what was sealed for one place opens at no
 * other, so that whoever can write rows cannot exchange them.
 */
export interface Sealer {
  /** Names the newest key, in hexadecimal; null without one. It says nothing of the key itself. */
  readonly newest: string | null;
  seal(place: string, secret: Uint8Array | string): Buffer;
  /** Throws a BerthError where it was changed, moved, or sealed under a key that is not in the ring. */
  open(place: string, sealed: Buffer): Buffer;
  /** Whether the ring has the key of this name. */
  has(key: string): boolean;
}

export const KEY_BYTES = 32;
export const KEY_ID_BYTES = 8;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** Of the form: version, key id, nonce, tag, ciphertext. */
export const SEALED_VERSION = 1;

/** The last key is the newest. */
export function createSealer(...ring: readonly Buffer[]): Sealer {
  const keys = new Map(ring.map((key) => [keyName(key), key]));
  const newest = [...keys.keys()].at(-1);
  if (newest === undefined) throw new Error("a ring without a key");
  return {
    newest,
    has: (key) => keys.has(key),
    seal(place, secret) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv("aes-256-gcm", keys.get(newest)!, nonce, { authTagLength: TAG_BYTES });
      cipher.setAAD(Buffer.from(place));
      const text = Buffer.concat([cipher.update(secret), cipher.final()]);
      return Buffer.concat([
        Buffer.from([SEALED_VERSION]),
        Buffer.from(newest, "hex"),
        nonce,
        cipher.getAuthTag(),
        text,
      ]);
    },
    open(place, sealed) {
      const [id, nonce, tag, text] = partsOf(sealed);
      const key = sealed[0] === SEALED_VERSION ? keys.get(id.toString("hex")) : undefined;
      if (key === undefined) {
        throw unreadable("it was sealed under another key", "All servers of an installation need the same keys.");
      }
      try {
        const decipher = createDecipheriv("aes-256-gcm", key, nonce, { authTagLength: TAG_BYTES });
        decipher.setAAD(Buffer.from(place)).setAuthTag(tag);
        return Buffer.concat([decipher.update(text), decipher.final()]);
      } catch (error) {
        throw unreadable("it was changed, or is not where it belongs", "Make a new one in its place.", error);
      }
    },
  };
}

function keyName(key: Buffer): string {
  if (key.length !== KEY_BYTES) throw new Error(`a key of ${key.length} bytes instead of ${KEY_BYTES}`);
  return createHash("sha256")
    .update("berth key id")
    .update(key)
    .digest("hex")
    .slice(0, 2 * KEY_ID_BYTES);
}

/** SQL for the name of the key that `column` is sealed under. */
export function keyNameOf(column: string): string {
  return `encode(substring(${column} FROM 2 FOR ${KEY_ID_BYTES}), 'hex')`;
}

function partsOf(sealed: Buffer): [id: Buffer, nonce: Buffer, tag: Buffer, text: Buffer] {
  let at = 1;
  const take = (length: number) => {
    at += length;
    return sealed.subarray(at - length, at);
  };
  return [take(KEY_ID_BYTES), take(NONCE_BYTES), take(TAG_BYTES), sealed.subarray(at)];
}

function unreadable(why: string, advice: string, cause?: unknown): BerthError {
  return new BerthError("secret_unreadable", `A secret in the database cannot be read: ${why}.`, { advice, cause });
}
