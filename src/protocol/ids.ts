import { randomBytes } from "node:crypto";
import { z } from "zod";

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"; // Crockford base32 without i, l, o, u: hard to misread.

const PREFIX = {
  project: "prj",
  pipeline: "ppl",
  run: "run",
  worker: "wrk",
  boot: "bot",
  apiToken: "tok",
  registrationToken: "reg",
  artifact: "art",
  schedule: "sch",
  trigger: "trg",
  upload: "upl",
  secret: "sec",
} as const;

export type IdKind = keyof typeof PREFIX;

const RANDOM_BYTES = 10;

/** `run_0k3v…`: 48 bits of milliseconds and 80 random bits, so that ids sort by creation time. */
export function newId(kind: IdKind, nowMs: number = Date.now()): string {
  return idFrom(kind, nowMs, randomBytes(RANDOM_BYTES));
}

/** What no id of this moment, or of a later one, sorts before. No id is from before 1970. */
export function firstIdOf(kind: IdKind, atMs: number): string {
  return idFrom(kind, Math.max(0, atMs), Buffer.alloc(RANDOM_BYTES));
}

function idFrom(kind: IdKind, atMs: number, random: Buffer): string {
  const bytes = Buffer.concat([Buffer.alloc(6), random]);
  bytes.writeUIntBE(atMs, 0, 6);
  let bits = 0n;
  for (const byte of bytes) bits = (bits << 8n) | BigInt(byte);
  let text = "";
  for (let index = 0; index < 26; index++) {
    text = ALPHABET[Number(bits & 31n)] + text;
    bits >>= 5n;
  }
  return `${PREFIX[kind]}_${text}`;
}

/** A schema for ids of one kind. */
export function idOf(kind: IdKind) {
  return z
    .string()
    .regex(new RegExp(`^${PREFIX[kind]}_[0-9a-hjkmnp-tv-z]{26}$`), `must be an id like ${PREFIX[kind]}_…`);
}
