import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";

/**
 * What steps themselves say happened, outside of everything that is under test: one line per word of a step, in order of
 * arrival. Steps in containers say it over a connection, those that are processes append to the same file.
 */
export class Ledger implements Disposable {
  readonly file: string;
  readonly port: number;
  readonly #server: Server;
  readonly #sockets: Set<Socket>;

  static async open(file: string): Promise<Ledger> {
    const fd = openSync(file, "a");
    const sockets = new Set<Socket>();
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      sockets.add(socket);
      let text = "";
      socket.setEncoding("utf8").on("data", (more: string) => {
        text += more;
      });
      // Acknowledged by closing: a step that was not heard of must not go on as if it had been.
      socket.on("end", () => {
        writeSync(fd, text);
        socket.end("ok\n");
      });
      socket.on("error", () => {});
      socket.on("close", () => sockets.delete(socket));
    });
    await new Promise<void>((done) => server.listen(0, "0.0.0.0", done));
    server.on("close", () => closeSync(fd));
    return new Ledger(file, server, sockets);
  }

  private constructor(file: string, server: Server, sockets: Set<Socket>) {
    this.file = file;
    this.#server = server;
    this.#sockets = sockets;
    this.port = (server.address() as { port: number }).port;
  }

  /** All entries so far. */
  read(): LedgerEntry[] {
    return readFileSync(this.file, "utf8").split("\n").filter(Boolean).map(parse);
  }

  [Symbol.dispose](): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

/** One word of a step: that an attempt began, still runs, or is about to end with this output. */
export interface LedgerEntry {
  readonly word: "begin" | "beat" | "end";
  readonly run: string;
  readonly stepRun: string;
  readonly attempt: number;
  /** Number of the lease under which it runs: two leases may give two attempts one number, if none was reported. */
  readonly epoch: number;
  /** Made by the step's own process when it began: two of them under one attempt are two executions. */
  readonly life: string;
  /** SHA-256 of the output, with `end`; null for a step without one. */
  readonly digest: string | null;
}

function parse(line: string): LedgerEntry {
  const [word, run, stepRun, attempt, epoch, life, digest] = line.split(" ");
  return {
    word: word as LedgerEntry["word"],
    run: run!,
    stepRun: stepRun!,
    attempt: Number(attempt),
    epoch: Number(epoch),
    life: life!,
    digest: digest === undefined || digest === "" ? null : digest,
  };
}
