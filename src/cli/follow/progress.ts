import type { RunEvent } from "../../protocol/events.ts";
import type { TextLine } from "../../protocol/log-lines.ts";
import type { LiveMessage } from "../../protocol/messages.ts";
import type { Console } from "../terminal/console.ts";
import { plainText } from "../terminal/plain-text.ts";
import { createStyle } from "../terminal/style.ts";
import { clip } from "../terminal/table.ts";
import { eventLine } from "./event-line.ts";
import { LiveRegion } from "./live-region.ts";
import { logText } from "./log-text.ts";
import { progressText, renderProgress } from "./progress-table.ts";
import type { RunView } from "./run-view.ts";

/** Shows a run while it goes on. */
export interface Progress extends Disposable {
  /** `view` is the run after the event. */
  event(event: RunEvent, view: RunView): void;
  log(line: TextLine): void;
  /** What a step says while it runs. */
  said(message: LiveMessage): void;
  /** Something about the work that is no event, such as why a run waits. */
  notice(text: string): void;
}

/** Nothing but the end matters, and what keeps it from coming. */
export function quietProgress(note: (line: string) => void): Progress {
  return {
    event: () => {},
    log: () => {},
    said: () => {},
    notice: (text) => note(plainText(text)),
    [Symbol.dispose]: () => {},
  };
}

/** Lines of a file that say how far a step is, of which a day's work makes thousands, are this far apart. */
const SAID_INTERVAL_MS = 10_000;
const PLAIN = createStyle(false);

/** One line per change, and logs as `step | line`: for files and pipes. */
export function plainProgress(
  write: (line: string) => void,
  now: () => number = performance.now.bind(performance),
): Progress {
  const saidAtMs = new Map<string, number>();
  return {
    event(event, view) {
      const line = eventLine(event, view);
      if (line !== null) write(line);
    },
    log({ stepRun, text }) {
      for (const line of logText(text, { style: PLAIN, clean: true })) write(`${plainText(stepRun)} | ${line}`);
    },
    said(message) {
      if (message.type !== "attempt.progress") return;
      const { stepRun, progress } = message;
      if (now() < (saidAtMs.get(stepRun) ?? Number.NEGATIVE_INFINITY) + SAID_INTERVAL_MS) return;
      saidAtMs.set(stepRun, now());
      write(`${plainText(stepRun)} ${progressText(progress)}`);
    },
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
    log({ stepRun, text }) {
      const [line] = logText(text, { style: PLAIN, clean: true });
      if (text.trim() !== "") footer = `${plainText(stepRun)} | ${line}`;
    },
    said: () => {},
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
