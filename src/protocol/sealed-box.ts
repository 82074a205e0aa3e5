import {
  createCipheriv,
  createDecipheriv,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from "node:crypto";

/**
 * Values on their way from the server to one attempt on one worker, so that whatever carries, logs or keeps the answer
 * holds nothing readable. The recipient makes a key pair for one request; the sender makes another, agrees on a key
 * (X25519, HKDF-SHA256), and encrypts (AES-256-GCM). The attempt that it is for is authenticated with it, so that a box
 * opens for no other. What a box looks like: version, sender's public key, nonce, tag, ciphertext.
 */
export interface BoxRecipient {
  /** Raw X25519 key, 32 bytes. */
  readonly publicKey: Buffer;
  /** Throws where the box was changed, or made for another key or attempt. */
  open(sealed: Uint8Array, purpose: BoxPurpose): Buffer;
}

/** The attempt that a box is for. */
export interface BoxPurpose {
  readonly run: string;
  readonly epoch: number;
  readonly stepRun: string;
  readonly attempt: number;
}

const VERSION = 1;
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HEAD_BYTES = 1 + KEY_BYTES + NONCE_BYTES + TAG_BYTES;

export function createBoxRecipient(): BoxRecipient {
  const { publicKey, privateKey } = generateKeyPairSync("x25519");
  const own = rawKey(publicKey);
  return {
    publicKey: own,
    open(sealed, purpose) {
      if (sealed.length < HEAD_BYTES || sealed[0] !== VERSION)
        throw new Error("This is not a sealed box of version 1.");
      const box = Buffer.from(sealed);
      const sender = box.subarray(1, 1 + KEY_BYTES);
      const nonce = box.subarray(1 + KEY_BYTES, HEAD_BYTES - TAG_BYTES);
      const key = agreedKey(privateKey, sender, { sender, recipient: own });
      try {
        const decipher = createDecipheriv("aes-256-gcm", key, nonce, { authTagLength: TAG_BYTES });
        decipher.setAAD(boundTo(purpose)).setAuthTag(box.subarray(HEAD_BYTES - TAG_BYTES, HEAD_BYTES));
        return Buffer.concat([decipher.update(box.subarray(HEAD_BYTES)), decipher.final()]);
      } catch (error) {
        throw new Error("The sealed box was changed, or is for another key or attempt.", { cause: error });
      }
    },
  };
}

/** Throws where `recipient` is no public key that anything can be agreed on with. */
export function sealBox(recipient: Uint8Array, plaintext: Uint8Array, purpose: BoxPurpose): Buffer {
  const pair = generateKeyPairSync("x25519");
  const sender = rawKey(pair.publicKey);
  const key = agreedKey(pair.privateKey, recipient, { sender, recipient });
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv("aes-256-gcm", key, nonce, { authTagLength: TAG_BYTES }).setAAD(boundTo(purpose));
  const text = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  return Buffer.concat([Buffer.from([VERSION]), sender, nonce, cipher.getAuthTag(), text]);
}

/** Both public keys are part of what the key is made of, so that it belongs to these two alone. */
function agreedKey(
  own: KeyObject,
  other: Uint8Array,
  { sender, recipient }: { readonly sender: Uint8Array; readonly recipient: Uint8Array },
): Buffer {
  const publicKey = createPublicKey({
    key: { kty: "OKP", crv: "X25519", x: Buffer.from(other).toString("base64url") },
    format: "jwk",
  });
  const shared = diffieHellman({ privateKey: own, publicKey });
  return Buffer.from(hkdfSync("sha256", shared, Buffer.concat([sender, recipient]), "berth sealed box 1", KEY_BYTES));
}

function boundTo({ run, epoch, stepRun, attempt }: BoxPurpose): Buffer {
  return Buffer.from(JSON.stringify([run, epoch, stepRun, attempt]));
}

function rawKey(key: KeyObject): Buffer {
  return Buffer.from(key.export({ format: "jwk" }).x!, "base64url");
}
