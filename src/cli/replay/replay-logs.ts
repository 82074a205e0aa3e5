import type { BackendSession, Handle } from "../../backends/execution-backend.ts";
import { logText } from "../follow/log-text.ts";
import type { Console } from "../terminal/console.ts";
import type { Style } from "../terminal/style.ts";

/** A line without an end is shown in pieces of this size. */
const PARTIAL_MAX_CHARACTERS = 64 * 1024;

type Write = (bytes: Uint8Array | string) => void;

/** Shows what a step prints, as it comes, each stream on its own side; with `notes`, both among the notes. */
export class ReplayLogs {
  readonly #session: BackendSession;
  readonly #sides: { readonly stdout: Write; readonly stderr: Write };
  #shown: Promise<unknown> = Promise.resolve();

  constructor(session: BackendSession, console: Console, { asNotes }: { readonly asNotes: boolean }) {
    this.#session = session;
    const notes = console.notesOnTerminal ? inLines(console.writeNote, console.noteStyle) : console.writeNote;
    const result = console.isTerminal ? inLines(console.write, console.style) : console.write;
    this.#sides = { stdout: asNotes ? notes : result, stderr: notes };
  }

  follow(handle: Handle): void {
    this.#shown = Promise.all([this.#copy(handle, "stdout"), this.#copy(handle, "stderr")]);
    this.#shown.catch(() => {});
  }

  /** Resolves when everything was shown, once the attempt has ended. */
  async ended(): Promise<void> {
    await this.#shown;
  }

  async #copy(handle: Handle, stream: "stdout" | "stderr"): Promise<void> {
    const write = this.#sides[stream];
    for await (const chunk of this.#session.logs(handle, stream, { offset: 0, follow: true })) write(chunk);
    write("");
  }
}

/** On a terminal nothing in a log may act on it. An empty write ends what has no end of its own. */
function inLines(write: Write, style: Style): Write {
  const decoder = new TextDecoder();
  let partial = "";
  return (chunk) => {
    const isEnd = chunk.length === 0;
    partial += typeof chunk === "string" ? chunk : decoder.decode(chunk, { stream: true });
    const lines = partial.split("\n");
    partial = lines.pop()!;
    if ((isEnd && partial !== "") || partial.length > PARTIAL_MAX_CHARACTERS) lines.push(partial);
    if (lines.at(-1) === partial) partial = "";
    for (const line of lines) {
      for (const text of logText(line.replace(/\r$/, ""), { style, clean: true })) write(`${text}\n`);
    }
  };
}
