import { createPublicKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { usageError } from "./cli-error.ts";

/** The bytes of a file that was named on the command line. */
export function readGiven(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw usageError(`${file} cannot be read: ${(error as Error).message}`);
  }
}

/** The JSON in it; `howMade` is the command that makes such a file. */
export function parseGiven(bytes: Buffer, file: string, howMade: string): unknown {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch {
    throw usageError(`${file} is not JSON.`, howMade);
  }
}

/** The public keys in a PEM file. */
export function keysIn(file: string): string[] {
  const blocks =
    readGiven(file)
      .toString("utf8")
      .match(/-----BEGIN PUBLIC KEY-----[^-]+-----END PUBLIC KEY-----/g) ?? [];
  try {
    for (const block of blocks) createPublicKey(block);
  } catch {
    throw usageError(`${file} holds a public key that cannot be read.`);
  }
  if (blocks.length > 0) return blocks;
  throw usageError(`${file} holds no public key in PEM.`, "berth artifacts keys --pem > FILE");
}
