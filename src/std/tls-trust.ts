import { readFileSync, statSync } from "node:fs";
import { createSecureContext, getCACertificates, type SecureContext } from "node:tls";

/** By what a client knows a server over TLS. Plain data, so that it can be stored and handed to a thread. */
export interface TlsTrust {
  /**
   * File in PEM with the only certificates that are trusted: authorities, or the server's own. Without it, those that
   * Node brings along and those of the system.
   */
  readonly caFile?: string | undefined;
  /** The name that the certificate is to be for, where it is not that of the address. */
  readonly serverName?: string | undefined;
}

/** What a person says of it. A fingerprint is that of a certificate which the server shows, and becomes a file. */
export interface TrustChoice extends TlsTrust {
  readonly caFingerprint?: string | undefined;
}

/** What a connection is to be opened with. */
export interface SecureOptions {
  readonly secureContext: SecureContext;
  readonly servername?: string;
}

/** TLS 1.2 is the oldest without known ways in. */
const TLS_VERSION_MIN = "TLSv1.2";

/** Makes the options of new connections. A file of authorities that was replaced counts for those opened after it. */
export class TrustedConnections {
  readonly #trust: TlsTrust;
  #loaded: { readonly options: SecureOptions; readonly stamp: string } | null = null;

  constructor(trust: TlsTrust) {
    this.#trust = trust;
  }

  /** The same object for as long as nothing changed; throws when the file cannot be read or holds no certificate. */
  options(): SecureOptions {
    const { caFile, serverName } = this.#trust;
    const stamp = caFile === undefined ? "" : stampOf(caFile);
    if (this.#loaded?.stamp !== stamp) {
      const secureContext = createSecureContext({ ...authorities(caFile), minVersion: TLS_VERSION_MIN });
      this.#loaded = {
        options: { secureContext, ...(serverName === undefined ? {} : { servername: serverName }) },
        stamp,
      };
    }
    return this.#loaded.options;
  }
}

function authorities(caFile: string | undefined) {
  if (caFile === undefined) return { ca: [...getCACertificates("default"), ...getCACertificates("system")] };
  const ca = readFileSync(caFile, "utf8");
  // Text without any is an empty list to OpenSSL, and an empty list is no list: it would trust nobody, and not say why.
  if (!ca.includes("-----BEGIN CERTIFICATE-----")) throw new Error(`${caFile} holds no certificate in PEM`);
  // Whoever names a certificate trusts it, whether it issued itself or not.
  return { ca, allowPartialTrustChain: true };
}

function stampOf(file: string): string {
  const { mtimeMs, size, ino } = statSync(file);
  return `${mtimeMs} ${size} ${ino}`;
}
