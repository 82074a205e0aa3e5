import { createHash } from "node:crypto";
import type { KMSClient } from "@aws-sdk/client-kms";
import { BerthError } from "../../protocol/errors.ts";
import { KEY_ID_BYTES, SEALED_VERSION } from "../sealer.ts";
import type { KeyRing } from "./key-ring.ts";

export const AWS_KMS_PREFIX = "aws-kms:";

/** `arn:aws:kms:eu-central-1:123456789012:key/…`; an alias may name another key tomorrow. */
const KEY_ARN = /^arn:aws[a-z-]*:kms:([a-z0-9-]+):\d{12}:key\/[A-Za-z0-9-]{1,128}$/;

/** The first included. Requests that wait may hold a transaction. */
const ATTEMPTS = 3;
const CONNECT_TIMEOUT_MS = 2_000;
const ANSWER_TIMEOUT_MS = 5_000;

/**
 * A symmetric key of AWS KMS, which never leaves it: each project's key is encrypted and decrypted there, with its place as
 * the encryption context. Credentials, and another endpoint (AWS_ENDPOINT_URL_KMS), come from the SDK's default chain.
 *
 * @param where what named the key, for the error where it is none
 */
export function awsKmsRing(arn: string, where: string): KeyRing {
  const region = KEY_ARN.exec(arn)?.[1];
  if (region === undefined) {
    throw new BerthError("invalid_request", `${where} names ${AWS_KMS_PREFIX}${arn}, which is no key of AWS KMS.`, {
      advice: `Give the ARN of the key, not of an alias: ${AWS_KMS_PREFIX}arn:aws:kms:eu-central-1:123456789012:key/…`,
    });
  }
  const name = createHash("sha256")
    .update("berth aws kms key")
    .update(arn)
    .digest("hex")
    .slice(0, 2 * KEY_ID_BYTES);
  const header = Buffer.concat([Buffer.from([SEALED_VERSION]), Buffer.from(name, "hex")]);
  let client: KMSClient | null = null;
  // Loaded by servers that use it alone.
  const load = async () => {
    const kms = await import("@aws-sdk/client-kms");
    client ??= new kms.KMSClient({
      region,
      maxAttempts: ATTEMPTS,
      requestHandler: {
        connectionTimeout: CONNECT_TIMEOUT_MS,
        requestTimeout: ANSWER_TIMEOUT_MS,
        throwOnRequestTimeout: true,
      },
      logger: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
    });
    return { kms, client };
  };
  const key = (place: string) => ({ KeyId: arn, EncryptionContext: { "berth-place": place } });
  const ring: KeyRing = {
    newest: name,
    has: (other) => other === name,
    async seal(place, secret) {
      const { kms, client: sender } = await load();
      const command = new kms.EncryptCommand({ ...key(place), Plaintext: Buffer.from(secret) });
      const { CiphertextBlob } = await sender.send(command).catch((error: unknown) => refused(arn, error));
      return Buffer.concat([header, CiphertextBlob!]);
    },
    async open(place, sealed) {
      if (!sealed.subarray(0, header.length).equals(header)) throw unreadable(arn);
      const { kms, client: sender } = await load();
      const command = new kms.DecryptCommand({ ...key(place), CiphertextBlob: sealed.subarray(header.length) });
      const { Plaintext } = await sender.send(command).catch((error: unknown) => refused(arn, error));
      return Buffer.from(Plaintext!);
    },
    async check() {
      await ring.open("check", await ring.seal("check", "check"));
    },
  };
  return ring;
}

/** What is changed or moved, or was never this key's. */
const NOT_ITS_OWN = new Set(["InvalidCiphertextException", "IncorrectKeyException"]);

const WAYS_OUT: Readonly<Record<string, string>> = {
  NotFoundException: "There is no such key in this account and region: check the ARN.",
  DisabledException: "Enable the key again; until then nothing can be opened, and nothing is lost.",
  KMSInvalidStateException:
    "If the key is to be deleted, cancel that now; until it can be used, nothing can be opened.",
  AccessDeniedException: "The server needs kms:Encrypt and kms:Decrypt on the key.",
  CredentialsProviderError: "Give the server credentials of AWS: by its environment, a profile, or the machine's role.",
  ExpiredTokenException: "The server's credentials have expired: give it new ones.",
  UnrecognizedClientException: "The server's credentials are not those of an account of AWS.",
};

function refused(arn: string, error: unknown): never {
  const { name, message } = error as Error;
  if (NOT_ITS_OWN.has(name)) throw unreadable(arn, error);
  throw new BerthError("unavailable", `The key ${arn} of AWS KMS cannot be used: ${message || name}`, {
    cause: error,
    advice:
      WAYS_OUT[name] ?? "Check that the server reaches AWS KMS. Nothing was changed; what waits for it goes on then.",
  });
}

function unreadable(arn: string, cause?: unknown): BerthError {
  return new BerthError("secret_unreadable", `A secret in the database does not open with the key ${arn}.`, {
    advice: "It was changed, or is not where it belongs: set it again.",
    cause,
  });
}
