import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { BerthError } from "../protocol/errors.ts";
import { writePrivate } from "./home.ts";

/**
 * Keeps secrets in the database so that the database alone gives none away: AES-256-GCM under a key that is elsewhere.
 * `place` says which secret it is, such as `triggers/trg_…/secret`; what was sealed for one place opens at no other, so
 * that whoever can write rows cannot exchange them.
 */
export interface Sealer {
  seal(place: string, secret: string): Buffer;
  /** Throws a BerthError where it was changed, moved, or sealed under another key. */
  open(place: string, sealed: Buffer): string;
}

const KEY_BYTES = 32;
const KEY_ID_BYTES = 8;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** Of the form: version, key id, nonce, tag, ciphertext. */
const VERSION = 1;

export function createSealer(key: Buffer): Sealer {
  if (key.length !== KEY_BYTES) throw new Error(`a key of ${key.length} bytes instead of ${KEY_BYTES}`);
  const keyId = createHash("sha256").update("berth key id").update(key).digest().subarray(0, KEY_ID_BYTES);
  return {
    seal(place, secret) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv("aes-256-gcm", key, nonce, { authTagLength: TAG_BYTES }).setAAD(Buffer.from(place));
      const text = Buffer.concat([cipher.update(secret, "utf8"), cipher.final()]);
      return Buffer.concat([Buffer.from([VERSION]), keyId, nonce, cipher.getAuthTag(), text]);
    },
    open(place, sealed) {
      const [id, nonce, tag, text] = partsOf(sealed);
      if (sealed[0] !== VERSION || !id.equals(keyId)) {
        throw unreadable("it was sealed under another key", "All servers of an installation need the same key file.");
      }
      try {
        const decipher = createDecipheriv("aes-256-gcm", key, nonce, { authTagLength: TAG_BYTES });
        decipher.setAAD(Buffer.from(place)).setAuthTag(tag);
        return Buffer.concat([decipher.update(text), decipher.final()]).toString("utf8");
      } catch (error) {
        throw unreadable("it was changed, or is not where it belongs", "Make a new one in its place.", error);
      }
    },
  };
}

/** Of a server without a key: it can do all that needs no secret. */
export const NO_SEALER: Sealer = { seal: noKey, open: noKey };

function noKey(): never {
  throw new BerthError("conflict", "This server has no key to keep secrets with.", {
    advice:
      "On each server, set BERTH_SECRET_KEY_FILE to a file with the same 32 random bytes in base64: openssl rand -base64 32",
  });
}

/** The sealer of a server that was given a key file. */
export function sealerOf(file: string): Sealer {
  return createSealer(readKey(file));
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

function readKey(file: string): Buffer {
  let text: string;
  try {
    text = readFileSync(file, "utf8").trim();
  } catch (error) {
    throw new BerthError("invalid_request", `The key file ${file} cannot be read: ${(error as Error).message}`, {
      cause: error,
      advice: "Make one, for all servers of the installation: openssl rand -base64 32",
    });
  }
  const key = /^[0-9a-fA-F]{64}$/.test(text) ? Buffer.from(text, "hex") : Buffer.from(text, "base64");
  if (key.length === KEY_BYTES && /^[0-9A-Za-z+/=]+$/.test(text)) return key;
  throw new BerthError("invalid_request", `${file} does not hold a key of ${KEY_BYTES} bytes in base64.`, {
    advice: "Make one, for all servers of the installation: openssl rand -base64 32",
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
