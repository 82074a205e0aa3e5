import { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { connect, type DetailedPeerCertificate, type TLSSocket } from "node:tls";
import { fingerprintOf } from "./certificate-fingerprint.ts";

const CONNECT_TIMEOUT_MS = 10_000;
/** Longer chains are none of a real server. */
const CHAIN_MAX = 10;

/** The server was reached, and what it shows does not have the wanted fingerprint anywhere. */
export class OtherCertificate extends Error {
  override readonly name = "OtherCertificate";
  /** Of what it shows, its own first. */
  readonly shown: readonly string[];

  constructor(server: string, shown: readonly string[]) {
    super(`${server} shows no certificate with that fingerprint`);
    this.shown = shown;
  }
}

/**
 * Asks a server for its certificates and returns, in PEM, the one with this fingerprint. Nothing is sent to the server:
 * the certificate is known by its hash, and who shows it is only believed on a connection that checks it.
 */
export async function findCertificate(server: URL, fingerprint: string): Promise<string> {
  const chain = await chainOf(server);
  const found = chain.find((certificate) => fingerprintOf(certificate) === fingerprint);
  if (found === undefined) throw new OtherCertificate(server.origin, chain.map(fingerprintOf));
  return found.toString();
}

async function chainOf(server: URL): Promise<X509Certificate[]> {
  const host = server.hostname.replace(/^\[|\]$/g, "");
  const { promise, resolve, reject } = Promise.withResolvers<X509Certificate[]>();
  const socket = connect({
    host,
    port: Number(server.port === "" ? 443 : server.port),
    ...(isIP(host) === 0 ? { servername: host } : {}),
    // What is shown is all that is asked for.
    rejectUnauthorized: false,
    minVersion: "TLSv1.2",
  });
  socket.setTimeout(CONNECT_TIMEOUT_MS, () =>
    socket.destroy(new Error(`no answer within ${CONNECT_TIMEOUT_MS / 1000} s`)),
  );
  socket.once("error", reject);
  socket.once("secureConnect", () => resolve(shownBy(socket)));
  try {
    return await promise;
  } finally {
    socket.destroy();
  }
}

function shownBy(socket: TLSSocket): X509Certificate[] {
  const chain: X509Certificate[] = [];
  let next: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
  while (next?.raw !== undefined && chain.length < CHAIN_MAX) {
    chain.push(new X509Certificate(next.raw));
    // The last of a chain names itself as its issuer.
    next = next.issuerCertificate === next ? undefined : next.issuerCertificate;
  }
  return chain;
}
