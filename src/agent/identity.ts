import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { readFileSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { z } from "zod";
import { BerthError } from "../protocol/errors.ts";
import { idOf } from "../protocol/ids.ts";
import { Name } from "../protocol/names.ts";
import { makeFolder } from "../std/make-folder.ts";
import type { TlsTrust } from "../std/tls-trust.ts";
import { writeDurably } from "./write-durably.ts";

/** What the server said when this worker was registered: `<agentHome>/agent.json`. */
export const AgentIdentity = z.object({
  server: z.url(),
  workerId: idOf("worker"),
  name: Name,
  installation: z.string(),
  project: z.string(),
  pool: Name,
  labels: z.array(z.string()),
  /** By what the server is known over TLS; files without a path lie in this home. */
  trust: z.object({ caFile: z.string().optional(), serverName: z.string().optional() }).default({}),
});
export type AgentIdentity = z.infer<typeof AgentIdentity>;

export interface Identity extends AgentIdentity {
  readonly privateKey: KeyObject;
}

const KEY_FILE = "key";
const IDENTITY_FILE = "agent.json";

/** The private key of this home: made on first use, readable by nobody else, never sent anywhere. */
export function ensurePrivateKey(home: string): KeyObject {
  makeFolder(home);
  const existing = readIfPresent(join(home, KEY_FILE));
  if (existing !== null) return createPrivateKey(existing);
  const { privateKey } = generateKeyPairSync("ed25519");
  writeDurably(join(home, KEY_FILE), privateKey.export({ type: "pkcs8", format: "pem" }).toString(), 0o600);
  return privateKey;
}

/** The raw public key in base64url, as the server keeps it. */
export function publicKeyOf(privateKey: KeyObject): string {
  return createPublicKey(privateKey).export({ format: "jwk" }).x!;
}

export function saveIdentity(home: string, identity: AgentIdentity): void {
  writeDurably(join(home, IDENTITY_FILE), `${JSON.stringify(identity, null, 2)}\n`, 0o600);
}

/** Null when this home was never registered. */
export function loadIdentity(home: string): Identity | null {
  const text = readIfPresent(join(home, IDENTITY_FILE));
  if (text === null) return null;
  const parsed = AgentIdentity.safeParse(parseJson(text));
  if (!parsed.success) {
    throw new BerthError("invalid_request", `${join(home, IDENTITY_FILE)} is not an agent's identity`, {
      cause: parsed.error,
      advice: "Register this worker again with `berth agent register`.",
    });
  }
  const trust = resolvedTrust(home, parsed.data.trust);
  return { ...parsed.data, trust, privateKey: ensurePrivateKey(home) };
}

/** As it is used: files of the home are stored by their name, so that the home may move. */
export function resolvedTrust(home: string, trust: TlsTrust): TlsTrust {
  const { caFile } = trust;
  return caFile === undefined || isAbsolute(caFile) ? trust : { ...trust, caFile: join(home, caFile) };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function readIfPresent(file: string): string | null {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}
