import { createPrivateKey, X509Certificate } from "node:crypto";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { hostname, networkInterfaces } from "node:os";
import { join } from "node:path";
import { BerthError } from "../../protocol/errors.ts";
import { fingerprintOf } from "../../std/certificate-fingerprint.ts";
import { writePrivate } from "../home.ts";
import { HOST_NAME } from "./host-name.ts";
import { type Issued, issueAuthority, issueLeaf } from "./issue-certificate.ts";
import { type CertificateSource, checkKeyPair, isFor, type KeyPair } from "./server-tls.ts";

const DAY_MS = 24 * 60 * 60_000;
/** Workers pin it: who replaces it has to tell each of them. */
const AUTHORITY_LIFETIME_MS = 10 * 365 * DAY_MS;
/** Renewed by itself, so that it can be short. */
const LEAF_LIFETIME_MS = 90 * DAY_MS;
const RENEW_BEFORE_MS = 30 * DAY_MS;
/** Clocks of machines on one network differ. */
const BACKDATED_MS = 60 * 60_000;
const LOOK_INTERVAL_MS = 60 * 60_000;

export interface AuthorityOptions {
  /** Private folder, made where it is not there. */
  readonly folder: string;
  /** Names and addresses beside those of this machine. */
  readonly names: readonly string[];
}

/**
 * An authority of this server alone, kept in a folder: `ca.pem` and `ca-key.pem`, and what it last issued in `server.pem`
 * and `server-key.pem`. The certificate is issued anew a month before it expires, and when the machine has a name or an
 * address that it does not know.
 */
export function ownAuthority({ folder, names }: AuthorityOptions): CertificateSource {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const authority = ensureAuthority(folder);
  const files = { cert: join(folder, "server.pem"), key: join(folder, "server-key.pem") };
  return {
    read: () => {
      const wanted = [...new Set([...names, ...namesOfThisMachine()])];
      return usable(files, authority, wanted) ?? renew(files, authority, wanted);
    },
    intervalMs: LOOK_INTERVAL_MS,
    caFile: join(folder, "ca.pem"),
    caFingerprint: fingerprintOf(authority.certificate),
    strictTransport: false,
  };
}

interface Authority {
  readonly certificate: X509Certificate;
  readonly key: Issued["key"];
}

function ensureAuthority(folder: string): Authority {
  const files = { cert: join(folder, "ca.pem"), key: join(folder, "ca-key.pem") };
  if (!existsSync(files.cert)) {
    const made = issueAuthority(`Berth CA of ${hostname()}`.slice(0, 64), validity(AUTHORITY_LIFETIME_MS));
    // The key first: a certificate that is there has its key.
    writePrivate(files.key, made.key);
    writePrivate(files.cert, made.certificate);
  }
  if (!existsSync(files.key)) throw unusable(folder, `${files.key}, the key of this server's authority, is missing.`);
  try {
    const pair = { cert: readFileSync(files.cert, "utf8"), key: readFileSync(files.key, "utf8") };
    checkKeyPair(pair, files);
    return { certificate: new X509Certificate(pair.cert), key: pair.key };
  } catch (cause) {
    throw cause instanceof BerthError ? unusable(folder, cause.message, cause) : cause;
  }
}

function unusable(folder: string, message: string, cause?: unknown): BerthError {
  return new BerthError("invalid_request", message, {
    advice:
      `Put the file back, or remove ${folder}: the server then makes a new authority, ` +
      "and every worker has to be told of it by `berth agent trust`.",
    cause,
  });
}

/** What is there, if it will do for a while; null where it is to be issued anew, whatever the reason. */
function usable(files: KeyPair, authority: Authority, wanted: readonly string[]): KeyPair | null {
  if (!existsSync(files.cert) || !existsSync(files.key)) return null;
  const pair = { cert: readFileSync(files.cert, "utf8"), key: readFileSync(files.key, "utf8") };
  try {
    checkKeyPair(pair, files);
  } catch {
    return null; // Written half: both are made by this server alone.
  }
  const certificate = new X509Certificate(pair.cert);
  const isOurs = certificate.verify(authority.certificate.publicKey);
  const lasts = certificate.validToDate.getTime() - Date.now() > RENEW_BEFORE_MS;
  return isOurs && lasts && wanted.every((name) => isFor(certificate, name)) ? pair : null;
}

function renew(files: KeyPair, authority: Authority, wanted: readonly string[]): KeyPair {
  const untilMs = Math.min(Date.now() + LEAF_LIFETIME_MS, authority.certificate.validToDate.getTime());
  const issuer = { name: commonNameOf(authority.certificate), key: createPrivateKey(authority.key) };
  const leaf = issueLeaf(wanted, { ...validity(0), notAfter: new Date(untilMs) }, issuer);
  const pair = { cert: leaf.certificate + authority.certificate.toString(), key: leaf.key };
  writePrivate(files.key, pair.key);
  writePrivate(files.cert, pair.cert);
  return pair;
}

function validity(lifetimeMs: number) {
  return { notBefore: new Date(Date.now() - BACKDATED_MS), notAfter: new Date(Date.now() + lifetimeMs) };
}

function commonNameOf(certificate: X509Certificate): string {
  return /^CN=(.*)$/m.exec(certificate.subject)![1]!;
}

/** By which other machines reach this one, and it itself. */
export function namesOfThisMachine(): string[] {
  const addresses = Object.values(networkInterfaces())
    .flatMap((all) => all ?? [])
    .filter(({ address, scopeid }) => !scopeid && !address.startsWith("fe80:"))
    .map(({ address }) => address);
  const host = hostname().toLowerCase();
  const own = HOST_NAME.test(host) ? [host] : [];
  return [...own, "localhost", "127.0.0.1", "::1", ...addresses];
}
