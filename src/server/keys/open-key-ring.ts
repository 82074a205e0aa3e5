import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { BerthError } from "../../protocol/errors.ts";
import { writePrivate } from "../home.ts";
import { createSealer, KEY_BYTES } from "../sealer.ts";
import { AWS_KMS_PREFIX, awsKmsRing } from "./aws-kms-ring.ts";
import { joinRings, type KeyRing, localRing } from "./key-ring.ts";
import { remembering } from "./remembering.ts";

/** The ring of a server that was given a key file: one key a line, the newest last. */
export function ringOfFile(file: string): KeyRing {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new BerthError("invalid_request", `The key file ${file} cannot be read: ${(error as Error).message}`, {
      cause: error,
      advice: MAKE_ONE,
    });
  }
  return ringOfText(text, file);
}

/** The ring of a server that was given its keys as a text, in `where`: separated by blanks, the newest last. */
export function ringOfText(text: string, where: string): KeyRing {
  const rings: KeyRing[] = [];
  let local: Buffer[] = [];
  const endLocal = () => {
    if (local.length > 0) rings.push(localRing(createSealer(...local)));
    local = [];
  };
  for (const word of text.split(/\s+/).filter((one) => one !== "")) {
    if (word.startsWith(AWS_KMS_PREFIX)) {
      endLocal();
      rings.push(remembering(awsKmsRing(word.slice(AWS_KMS_PREFIX.length), where)));
    } else local.push(keyOf(word, where));
  }
  endLocal();
  if (rings.length === 0) throw noKeyIn(where);
  return joinRings(rings);
}

/** The ring of a server with a database of its own: its key is made when it is first needed, beside the database. */
export function ownRing(file: string): KeyRing {
  try {
    return ringOfFile(file);
  } catch (error) {
    if (!(error instanceof BerthError && (error.cause as NodeJS.ErrnoException | undefined)?.code === "ENOENT"))
      throw error;
  }
  writePrivate(file, `${randomBytes(KEY_BYTES).toString("base64")}\n`);
  return ringOfFile(file);
}

function keyOf(word: string, where: string): Buffer {
  const key = /^[0-9a-fA-F]{64}$/.test(word) ? Buffer.from(word, "hex") : Buffer.from(word, "base64");
  if (key.length !== KEY_BYTES || !/^[0-9A-Za-z+/=]+$/.test(word)) throw noKeyIn(where);
  return key;
}

const MAKE_ONE = "Make one, for all servers of the installation: openssl rand -base64 32";

function noKeyIn(where: string): BerthError {
  return new BerthError("invalid_request", `${where} does not hold keys of ${KEY_BYTES} bytes in base64.`, {
    advice: `${MAKE_ONE}. A key of AWS KMS is ${AWS_KMS_PREFIX}arn:…`,
  });
}
