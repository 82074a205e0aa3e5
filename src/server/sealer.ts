import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { BerthError } from "../protocol/errors.ts";
import { writePrivate } from "./home.ts";

/**
 * Keeps secrets in the database so that the database alone gives none away: AES-256-GCM under a ring of keys that is
 * elsewhere. The newest key seals, every one of them opens, so that a key is replaced without a moment in which nothing can
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
const KEY_ID_BYTES = 8;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** Of the form: version, key id, nonce, tag, ciphertext. */
const VERSION = 1;

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
      return Buffer.concat([Buffer.from([VERSION]), Buffer.from(newest, "hex"), nonce, cipher.getAuthTag(), text]);
    },
    open(place, sealed) {
      const [id, nonce, tag, text] = partsOf(sealed);
      const key = sealed[0] === VERSION ? keys.get(id.toString("hex")) : undefined;
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

/** Of a server without a key: it can do all that needs no secret. */
export const NO_SEALER: Sealer = { newest: null, has: () => false, seal: noKey, open: noKey };

function noKey(): never {
  throw new BerthError("conflict", "This server has no key to keep secrets with.", {
    advice:
      "On each server, set BERTH_SECRET_KEY_FILE to a file with the same 32 random bytes in base64: openssl rand -base64 32",
  });
}

/** The sealer of a server that was given a key file: one key a line, the newest last. */
export function sealerOf(file: string): Sealer {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new BerthError("invalid_request", `The key file ${file} cannot be read: ${(error as Error).message}`, {
      cause: error,
      advice: MAKE_ONE,
    });
  }
  return createSealer(...readKeys(text, file));
}

/** The sealer of a server that was given its keys in `variable`: separated by blanks, the newest last. */
export function sealerOfText(text: string, variable: string): Sealer {
  return createSealer(...readKeys(text, variable));
}

/** The sealer of a server with a database of its own: its key is made when it is first needed, beside the database. */
export function ownSealer(file: string): Sealer {
  try {
    return sealerOf(file);
  } catch (error) {
    if (!(error instanceof BerthError && (error.cause as NodeJS.ErrnoException | undefined)?.code === "ENOENT"))
      throw error;
  }
  writePrivate(file, `${randomBytes(KEY_BYTES).toString("base64")}\n`);
  return sealerOf(file);
}

const MAKE_ONE = "Make one, for all servers of the installation: openssl rand -base64 32";

function readKeys(text: string, where: string): Buffer[] {
  const words = text.split(/\s+/).filter((word) => word !== "");
  const keys = words.map((word) =>
    /^[0-9a-fA-F]{64}$/.test(word) ? Buffer.from(word, "hex") : Buffer.from(word, "base64"),
  );
  const isGood = keys.every((key, index) => key.length === KEY_BYTES && /^[0-9A-Za-z+/=]+$/.test(words[index]!));
  if (isGood && keys.length > 0) return keys;
  throw new BerthError("invalid_request", `${where} does not hold keys of ${KEY_BYTES} bytes in base64.`, {
    advice: MAKE_ONE,
  });
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
  return new BerthError("internal", `A secret in the database cannot be read: ${why}.`, { advice, cause });
}
