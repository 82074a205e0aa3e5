import { createPrivateKey, X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import type { Logger } from "pino";
import { BerthError } from "../../protocol/errors.ts";
import { fingerprintOf } from "../../std/certificate-fingerprint.ts";

/** What a server shows to who connects: a chain, its own certificate first, and the private key of that one; in PEM. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

/** Where a server's certificate comes from, and how it is kept up to date. */
export interface CertificateSource {
  /** The pair to show from now on; throws BerthError when there is none that can be used. */
  read(): KeyPair;
  /** How often `read` is asked again. */
  readonly intervalMs: number;
  /** File with what clients on this machine trust: an authority, or the certificate itself. */
  readonly caFile: string;
  /** Fingerprint of the server's own authority; null where others issue its certificate. */
  readonly caFingerprint: string | null;
  /** Whether browsers may be told never to use plain HTTP again: not with an authority that they do not know. */
  readonly strictTransport: boolean;
}

/** What a listening server does with a new pair: connections that are open stay as they are. */
export interface SecureContextHolder {
  setSecureContext(options: KeyPair): void;
}

/**
 * The certificate of a running server. Whatever is wrong with a newer pair, such as a certificate that was replaced
 * before its key, the server goes on with the one it has, says so once, and looks again.
 */
export class ServerTls implements Disposable {
  readonly source: CertificateSource;
  readonly #log: Logger;
  #current: KeyPair;
  #timer: NodeJS.Timeout | null = null;
  #complaint: string | null = null;

  constructor(source: CertificateSource, log: Logger) {
    this.source = source;
    this.#log = log;
    this.#current = source.read();
  }

  get keyPair(): KeyPair {
    return this.#current;
  }

  /** A name of the certificate, for clients that reach the server by an address that is none of them. */
  get serverName(): string | null {
    const { subjectAltName = "" } = new X509Certificate(this.#current.cert);
    const names = [...subjectAltName.matchAll(/DNS:([^,\s]+)/g)].map(([, name]) => name!.replace(/^\*\./, "berth."));
    return names[0] ?? null;
  }

  /** How clients on this machine know the server, by whatever address they reach it. */
  forThisMachine(): { caFile: string; caFingerprint: string | null; serverName: string | null } {
    const { caFile, caFingerprint } = this.source;
    return { caFile, caFingerprint, serverName: this.serverName };
  }

  /** Shows each new pair to those who connect from then on, until dispose. */
  follow(server: SecureContextHolder): void {
    this.#timer = setInterval(() => this.refresh(server), this.source.intervalMs).unref();
  }

  /** Looks once. */
  refresh(server: SecureContextHolder): void {
    try {
      const next = this.source.read();
      this.#complaint = null;
      if (next.cert === this.#current.cert && next.key === this.#current.key) return;
      server.setSecureContext(next);
      this.#current = next;
      this.#log.info({ ...factsOf(next) }, "the server shows another certificate from now on");
    } catch (error) {
      const { message } = error as Error;
      if (message !== this.#complaint) this.#log.error({ reason: message }, "the server keeps its certificate");
      this.#complaint = message;
    }
  }

  [Symbol.dispose](): void {
    if (this.#timer !== null) clearInterval(this.#timer);
  }
}

function factsOf({ cert }: KeyPair) {
  const certificate = new X509Certificate(cert);
  return { fingerprint: fingerprintOf(certificate), validTo: certificate.validToDate.toISOString() };
}

/** Refuses what no client would accept, with words that name the files. */
export function checkKeyPair(pair: KeyPair, files: { readonly cert: string; readonly key: string }): KeyPair {
  const certificate = parsed(() => new X509Certificate(pair.cert), `${files.cert} is no certificate in PEM`);
  const key = parsed(() => createPrivateKey(pair.key), `${files.key} is no private key in PEM without a password`);
  if (!certificate.checkPrivateKey(key)) {
    throw unusable(`${files.key} is not the key of the certificate in ${files.cert}.`);
  }
  if (certificate.validToDate.getTime() <= Date.now()) {
    throw unusable(`The certificate in ${files.cert} has expired on ${certificate.validToDate.toISOString()}.`);
  }
  return pair;
}

function parsed<T>(parse: () => T, complaint: string): T {
  try {
    return parse();
  } catch (cause) {
    throw unusable(`${complaint}: ${(cause as Error).message}.`, cause);
  }
}

function unusable(message: string, cause?: unknown): BerthError {
  return new BerthError("invalid_request", message, {
    advice: "Give the server a certificate with its whole chain, and the key that belongs to it.",
    cause,
  });
}

/** Whether the certificate is for this name or address. */
export function isFor(certificate: X509Certificate, name: string): boolean {
  return (isIP(name) === 0 ? certificate.checkHost(name) : certificate.checkIP(name)) !== undefined;
}
