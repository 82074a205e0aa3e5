import { createPrivateKey } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, connect, type Socket } from "node:net";
import { createServer, type Server } from "node:tls";
import { type Issued, issueAuthority, issueLeaf, type Validity } from "../../src/server/tls/issue-certificate.ts";

export const VALID: Validity = { notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 3_600_000) };
export const EXPIRED: Validity = {
  notBefore: new Date(Date.now() - 7_200_000),
  notAfter: new Date(Date.now() - 60_000),
};

/** An authority, and certificates by it, as a test wants them. */
export class TestAuthority {
  readonly #name: string;
  readonly #issued: Issued;

  constructor(name: string) {
    this.#name = name;
    this.#issued = issueAuthority(name, { ...VALID, notBefore: EXPIRED.notBefore });
  }

  get certificate(): string {
    return this.#issued.certificate;
  }

  /** With the authority's own certificate after it. */
  issue(names: readonly string[], validity: Validity = VALID): { cert: string; key: string } {
    const leaf = issueLeaf(names, validity, { name: this.#name, key: createPrivateKey(this.#issued.key) });
    return { cert: leaf.certificate + this.certificate, key: leaf.key };
  }
}

/** Ends TLS in front of a plain server on this machine, and is somebody else from one moment to the next. */
export class TlsFront implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Connections on which TLS came up. */
  accepted = 0;
  /** Bytes that reached it in clear. */
  received = 0;

  private constructor(target: URL, pair: { cert: string; key: string }) {
    this.#server = createServer(pair, (client) => {
      this.accepted += 1;
      const upstream = connect(Number(target.port), target.hostname);
      for (const socket of [client, upstream]) {
        this.#sockets.add(socket);
        socket.on("close", () => this.#sockets.delete(socket));
        socket.on("error", () => {
          client.destroy();
          upstream.destroy();
        });
      }
      client.on("data", (chunk: Buffer) => {
        this.received += chunk.length;
      });
      client.pipe(upstream).pipe(client);
    });
  }

  static async start(target: string, pair: { cert: string; key: string }): Promise<TlsFront> {
    const front = new TlsFront(new URL(target), pair);
    front.#server.listen(0, "127.0.0.1");
    await once(front.#server, "listening");
    return front;
  }

  get url(): string {
    return `https://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Shows another certificate to who connects from now on; open connections stay. */
  show(pair: { cert: string; key: string }): void {
    this.#server.setSecureContext(pair);
  }

  cutConnections(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.cutConnections();
    await closed;
  }
}
