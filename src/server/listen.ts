import { hostname } from "node:os";
import type { FastifyInstance } from "fastify";
import type { Logger } from "pino";
import { isLoopback, type ListenAddress } from "./config.ts";
import type { SecureContextHolder, ServerTls } from "./tls/server-tls.ts";

export interface ListeningAt {
  /** Where this machine reaches it. */
  readonly url: string;
  /** Where other machines do; null when it listens for this one only. */
  readonly workerUrl: string | null;
}

/** Opens the port. Plain HTTP that other machines can listen in on is served, with a warning. */
export async function listen(
  app: FastifyInstance,
  address: ListenAddress,
  tls: ServerTls | null,
  log: Logger,
): Promise<ListeningAt> {
  await app.listen({ host: address.host, port: address.port });
  // Fastify's types know the plain server only.
  tls?.follow(app.server as unknown as SecureContextHolder);
  const bound = app.server.address();
  const port = typeof bound === "object" && bound !== null ? bound.port : address.port;
  const scheme = tls === null ? "http" : "https";
  const urlOf = (host: string) => `${scheme}://${host.includes(":") ? `[${host}]` : host}:${port}`;
  if (isLoopback(address)) return { url: urlOf(address.host), workerUrl: null };
  if (tls === null) {
    log.warn(
      `Berth listens on ${address.host}:${port} without TLS: whoever can read the network can read its tokens. ` +
        "Start it with --tls generate (BERTH_TLS=generate), with a certificate (--tls-cert, --tls-key), or behind a " +
        "proxy that ends TLS; or set BERTH_LISTEN=127.0.0.1:7070.",
    );
  }
  // "Every address" is none that can be called.
  if (address.host === "0.0.0.0") return { url: urlOf("127.0.0.1"), workerUrl: urlOf(tls?.serverName ?? hostname()) };
  if (address.host === "::") return { url: urlOf("::1"), workerUrl: urlOf(tls?.serverName ?? hostname()) };
  return { url: urlOf(address.host), workerUrl: urlOf(address.host) };
}
