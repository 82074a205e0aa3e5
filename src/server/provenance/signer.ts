import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { BerthError } from "../../protocol/errors.ts";
import { keyIdOf } from "../../protocol/provenance.ts";
import { writePrivate } from "../home.ts";

/** Signs statements of provenance with the key of the installation. */
export interface Signer {
  readonly keyId: string;
  /** PEM. */
  readonly publicKey: string;
  sign(bytes: Uint8Array): Buffer;
}

const MAKE_ONE = "Make one, for all servers of the installation: openssl genpkey -algorithm ed25519 -out FILE";

/** The signer of a server that was given a key file: an Ed25519 key in PEM (PKCS #8). */
export function signerOf(file: string): Signer {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new BerthError("invalid_request", `The key file ${file} cannot be read: ${(error as Error).message}`, {
      cause: error,
      advice: MAKE_ONE,
    });
  }
  let key: KeyObject | null = null;
  try {
    key = createPrivateKey(text);
  } catch {
    // What it is instead is not repeated: it may be another secret.
  }
  if (key?.asymmetricKeyType === "ed25519") return createSigner(key);
  throw new BerthError("invalid_request", `${file} does not hold a private Ed25519 key in PEM.`, { advice: MAKE_ONE });
}

/** The signer of a server with a database of its own: its key is made once, beside the database. */
export function ownSigner(file: string): Signer {
  try {
    return signerOf(file);
  } catch (error) {
    if (!(error instanceof BerthError && (error.cause as NodeJS.ErrnoException | undefined)?.code === "ENOENT")) {
      throw error;
    }
  }
  const { privateKey } = generateKeyPairSync("ed25519");
  writePrivate(file, privateKey.export({ type: "pkcs8", format: "pem" }) as string);
  return signerOf(file);
}

export function createSigner(privateKey: KeyObject): Signer {
  const publicKey = createPublicKey(privateKey);
  return {
    keyId: keyIdOf(publicKey),
    publicKey: publicKey.export({ type: "spki", format: "pem" }) as string,
    sign: (bytes) => sign(null, bytes, privateKey),
  };
}
