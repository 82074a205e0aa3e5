import { appendFileSync } from "node:fs";
import { lenientLine } from "./lenient-line.js";
import { log } from "./log.js";

// What a step tells while it runs: progress, metrics, and what its outputs are. In Berth they are lines of JSON in the
// file that BERTH_MESSAGES names; elsewhere they are shown on stderr. Telling something never fails a step: what cannot be
// told is said in the log.

/** What an agent takes of one line, with the line break; see docs/steps.md. */
export const LINE_MAX_BYTES = 64 * 1024;
/** Progress is for people to watch: after so many messages, no more than one per interval is written. */
const PROGRESS_FREE = 100;
const PROGRESS_INTERVAL_MS = 100;
const PROGRESS_TEXT_MAX_CHARS = 500;
const NAME_MAX_CHARS = 200;

/** @typedef {Record<string, unknown>} Message */

/**
 * How far the step is, in units of its own.
 *
 * @param {number | string | undefined} done
 * @param {number | undefined} [total]
 * @param {string | undefined} [message]
 */
export function progress(done, total, message) {
  if (typeof done === "string") return progress(undefined, undefined, done);
  if (done === undefined && message === undefined)
    throw new TypeError("progress() needs how much is done, or a message");
  tellProgress({
    type: "progress",
    ...(done === undefined ? {} : { done: amount("done", done) }),
    ...(total === undefined ? {} : { total: amount("total", total) }),
    ...(message === undefined ? {} : { message: String(message).slice(0, PROGRESS_TEXT_MAX_CHARS) }),
  });
}

let told = 0;
let writtenAt = Number.NEGATIVE_INFINITY;
/** @type {Message | null} The newest that was held back; it is written at the end. */
let held = null;

/** @param {Message} content */
function tellProgress(content) {
  const now = performance.now();
  if (told++ === 0) process.once("exit", flushProgress);
  const isFree = told <= PROGRESS_FREE && process.env.BERTH_MESSAGES !== undefined;
  const isLast = content.total !== undefined && Number(content.done ?? 0) >= Number(content.total);
  if (isFree || isLast || now - writtenAt >= PROGRESS_INTERVAL_MS) {
    writtenAt = now;
    held = null;
    tell(content, shown(content));
  } else held = content;
}

function flushProgress() {
  if (held !== null) tell(held, shown(held));
  held = null;
}

/** @param {Message} content */
function shown({ done, total, message }) {
  const amounts = done === undefined ? "" : `${done}${total === undefined ? "" : `/${total}`}`;
  return `progress: ${[amounts, message].filter(Boolean).join(" ")}`;
}

/**
 * A measured value, kept with the attempt.
 *
 * @param {string} name
 * @param {number} value
 * @param {{ readonly step?: number | undefined }} [options]
 */
export function metric(name, value, { step } = {}) {
  if (typeof name !== "string" || name === "" || name.length > NAME_MAX_CHARS || /\p{Cc}/u.test(name)) {
    throw new RangeError(
      `a metric has a name of 1 to ${NAME_MAX_CHARS} characters on one line, not ${JSON.stringify(name)}`,
    );
  }
  const number = numberOf("value", value);
  if (!Number.isFinite(number)) {
    log.warning(`the metric ${name} is ${number}, which is no number to keep: it is not recorded`);
    return;
  }
  const at = step === undefined ? {} : { step: numberOf("step", step) };
  tell(
    { type: "metric", name, value: number, ...at },
    `metric: ${name} = ${number}${step === undefined ? "" : ` (step ${step})`}`,
  );
}

/** @type {Map<string, import("../types/index.d.ts").OutputDescription>} What the step itself has said, by output. */
const noted = new Map();

/**
 * What an output is, beside its bytes. Saying more later adds to it.
 *
 * @param {string} name
 * @param {import("../types/index.d.ts").OutputDescription} description
 */
export function output(name, description) {
  const before = noted.get(name) ?? {};
  const tags = description.tags === undefined ? {} : { tags: { ...before.tags, ...description.tags } };
  const known = { ...before, ...description, ...tags };
  noted.set(name, known);
  tell({ type: "output", name, ...known }, `output: ${name} ${lenientLine(known)}`);
}

/**
 * What was found out about an output that was written; what the step said itself counts more.
 *
 * @param {string} name
 * @param {Message} found
 */
export function describeWritten(name, found) {
  const known = { type: "output", name, ...found, ...noted.get(name) };
  if (tell(known, null)) return;
  tell({ ...known, schema: undefined }, null);
}

/**
 * Appends one message; outside of Berth, shows `elsewhere`. False when it is longer than a line may be. Written in one
 * call, so that lines of several processes stay whole.
 *
 * @param {Message} content
 * @param {string | null} elsewhere
 */
function tell(content, elsewhere) {
  const file = process.env.BERTH_MESSAGES;
  if (!file) {
    if (elsewhere !== null) process.stderr.write(`${elsewhere}\n`);
    return true;
  }
  const line = `${lenientLine(content)}\n`;
  if (Buffer.byteLength(line) > LINE_MAX_BYTES) {
    complain(`a message of type ${content.type} is longer than ${LINE_MAX_BYTES} bytes and was left out`);
    return false;
  }
  try {
    appendFileSync(file, line);
  } catch (error) {
    complain(`what the step tells cannot be written: ${/** @type {Error} */ (error).message}`);
  }
  return true;
}

const complaints = new Set();

/**
 * Once each.
 *
 * @param {string} message
 */
function complain(message) {
  if (complaints.has(message)) return;
  complaints.add(message);
  process.stderr.write(`berth: warning: ${message}\n`);
}

/**
 * @param {string} what
 * @param {unknown} value
 */
function amount(what, value) {
  const number = numberOf(what, value);
  if (!(number >= 0 && number < Number.POSITIVE_INFINITY))
    throw new RangeError(`${what} is a number from 0 on, not ${number}`);
  return number;
}

/**
 * @param {string} what
 * @param {unknown} value
 */
function numberOf(what, value) {
  if (typeof value === "number") return value;
  if (typeof value === "bigint") return Number(value);
  throw new TypeError(`${what} is a number, not ${typeof value === "string" ? JSON.stringify(value) : String(value)}`);
}
