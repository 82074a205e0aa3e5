import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { createServer, type Server } from "node:net";

/**
 * What steps themselves say happened, outside of everything that is under test: one line per word of a step, in order of
 * arrival. Steps in containers say it over a connection, those that are processes append to the same file.
 */
export class Ledger implements Disposable {
  readonly file: string;
  readonly port: number;
  readonly #server: Server;

  static async open(file: string): Promise<Ledger> {
    const fd = openSync(file, "a");
    const server = createServer((socket) => {
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
    });
    await new Promise<void>((done) => server.listen(0, "0.0.0.0", done));
    server.on("close", () => closeSync(fd));
    return new Ledger(file, server);
  }

  private constructor(file: string, server: Server) {
    this.file = file;
    this.#server = server;
    this.port = (server.address() as { port: number }).port;
  }

  /** All entries so far. */
  read(): LedgerEntry[] {
    return readFileSync(this.file, "utf8").split("\n").filter(Boolean).map(parse);
  }

  [Symbol.dispose](): void {
    this.#server.close();
  }
}

/** One word of a step: that an attempt began, still runs, or is about to end with this output. */
export interface LedgerEntry {
  readonly word: "begin" | "beat" | "end";
  readonly run: string;
  readonly stepRun: string;
  readonly attempt: number;
  /** SHA-256 of the output, with `end`. */
  readonly digest: string | null;
}

function parse(line: string): LedgerEntry {
  const [word, run, stepRun, attempt, digest] = line.split(" ");
  return {
    word: word as LedgerEntry["word"],
    run: run!,
    stepRun: stepRun!,
    attempt: Number(attempt),
    digest: digest ?? null,
  };
}
