import type { Console } from "../terminal/console.ts";
import { createStyle } from "../terminal/style.ts";

/** A console without a terminal that remembers what was written to it. */
export interface CapturedConsole extends Console {
  readonly stdout: () => string;
  readonly stderr: () => string;
}

export function captureConsole(): CapturedConsole {
  let stdout = "";
  let stderr = "";
  const style = createStyle(false);
  return {
    out: (line) => {
      stdout += `${line}\n`;
    },
    note: (line) => {
      stderr += `${line}\n`;
    },
    writeNote: (bytes) => {
      stderr += Buffer.from(bytes as Uint8Array).toString();
    },
    write: (bytes) => {
      stdout += Buffer.from(bytes as Uint8Array).toString();
    },
    isTerminal: false,
    notesOnTerminal: false,
    columns: 100,
    rows: 30,
    style,
    noteStyle: style,
    stdout: () => stdout,
    stderr: () => stderr,
  };
}
