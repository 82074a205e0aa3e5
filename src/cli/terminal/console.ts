import type { WriteStream } from "node:tty";
import { createStyle, type Style } from "./style.ts";

/** Where a command writes. Data goes to `out`, everything about the work to `note`, so that pipes get data alone. */
export interface Console {
  /** A line of the result, on stdout. */
  out(line: string): void;
  /** A line about what goes on, on stderr. */
  note(line: string): void;
  /** Bytes of the result, such as a log, exactly as they are. */
  write(bytes: Uint8Array | string): void;
  /** Bytes that belong to the notes, such as the output of a build. */
  writeNote(bytes: Uint8Array | string): void;
  /** Whether stdout is a terminal: then control characters are neutralised and live lines may be drawn. */
  readonly isTerminal: boolean;
  /** Whether stderr is a terminal. */
  readonly notesOnTerminal: boolean;
  readonly columns: number;
  readonly rows: number;
  /** For stdout. */
  readonly style: Style;
  /** For stderr. */
  readonly noteStyle: Style;
}

const DEFAULT_COLUMNS = 100;
const DEFAULT_ROWS = 30;

type Environment = Readonly<Record<string, string | undefined>>;

/** The console of this process. NO_COLOR (any value but the empty one) and TERM=dumb switch colours off. */
export function createConsole(stdout: WriteStream, stderr: WriteStream, env: Environment): Console {
  const mayColour = (env.NO_COLOR ?? "") === "" && env.TERM !== "dumb";
  const isTerminal = stdout.isTTY === true && env.TERM !== "dumb";
  return {
    out: (line) => void stdout.write(`${stdout.isTTY === true ? withoutC1(line) : line}\n`),
    note: (line) => void stderr.write(`${stderr.isTTY === true ? withoutC1(line) : line}\n`),
    write: (bytes) => void stdout.write(bytes),
    writeNote: (bytes) => void stderr.write(bytes),
    isTerminal,
    notesOnTerminal: stderr.isTTY === true,
    get columns() {
      return stdout.columns || DEFAULT_COLUMNS;
    },
    get rows() {
      return stdout.rows || DEFAULT_ROWS;
    },
    style: createStyle(mayColour && stdout.isTTY === true),
    noteStyle: createStyle(mayColour && stderr.isTTY === true),
  };
}

/**
 * JSON leaves the controls of C1 as they are, and some terminals take them for the beginning of a sequence. Berth itself
 * writes none of them.
 */
function withoutC1(line: string): string {
  return line.replace(/[\u0080-\u009f]/g, "\ufffd");
}
