import type { RunEvent } from "../../protocol/events.ts";
import type { Console } from "../terminal/console.ts";
import { plainText } from "../terminal/plain-text.ts";
import { clip } from "../terminal/table.ts";
import { eventLine } from "./event-line.ts";
import { LiveRegion } from "./live-region.ts";
import type { TextLine } from "./log-lines.ts";
import { renderProgress } from "./progress-table.ts";
import type { RunView } from "./run-view.ts";

/** Shows a run while it goes on. */
export interface Progress extends Disposable {
  /** `view` is the run after the event. */
  event(event: RunEvent, view: RunView): void;
  log(line: TextLine): void;
  /** Something about the work that is no event, such as why a run waits. */
  notice(text: string): void;
}

/** Nothing but the end matters, and what keeps it from coming. */
export function quietProgress(note: (line: string) => void): Progress {
  return { event: () => {}, log: () => {}, notice: (text) => note(plainText(text)), [Symbol.dispose]: () => {} };
}

/** One line per change, and logs as `step | line`: for files and pipes. */
export function plainProgress(write: (line: string) => void): Progress {
  return {
    event(event, view) {
      const line = eventLine(event, view);
      if (line !== null) write(line);
    },
    log: (line) => write(`${plainText(line.stepRun)} | ${plainText(line.text)}`),
    notice: (text) => write(plainText(text)),
    [Symbol.dispose]: () => {},
  };
}

const FRAME_MS = 100;
/** Below the table: what was said last. */
const FOOTER_LINES = 2;

/** A table that is drawn again in place, with the latest log line below it. */
export function liveProgress(console: Console, view: RunView): Progress {
  const region = new LiveRegion(console.write, () => console.columns);
  let footer = "";
  const draw = () => {
    const { style, columns, rows } = console;
    const table = renderProgress(view, { nowMs: Date.now(), columns, maxLines: rows - FOOTER_LINES, style });
    region.draw([...table, style.dim(clip(footer, columns - 1))]);
  };
  const timer = setInterval(draw, FRAME_MS);
  draw();
  return {
    event(event) {
      if (event.body.type === "run.leased") footer = "";
    },
    log: (line) => {
      if (line.text.trim() !== "") footer = `${plainText(line.stepRun)} | ${plainText(line.text)}`;
    },
    notice: (text) => {
      footer = plainText(text);
    },
    [Symbol.dispose]() {
      clearInterval(timer);
      // The summary that follows says the same for good.
      region.draw([]);
      region[Symbol.dispose]();
    },
  };
}
