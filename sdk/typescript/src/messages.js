import { appendFileSync } from "node:fs";

/** Of one line: what Berth reads at most. */
export const LINE_MAX_BYTES = 64 * 1024;
/** More than a line of a terminal shows. */
const TEXT_MAX_CHARS = 1000;

/**
 * How far the step has come, for whoever watches it.
 *
 * @param {number} done
 * @param {number | undefined} [total]
 * @param {string | undefined} [message]
 */
export function progress(done, total, message) {
  checkNumber("progress", "done", done);
  if (total !== undefined) checkNumber("progress", "total", total);
  const text = message?.slice(0, TEXT_MAX_CHARS);
  const sent = send({
    type: "progress",
    done,
    ...(total === undefined ? {} : { total }),
    ...(text === undefined ? {} : { message: text }),
  });
  if (!sent)
    printLocally(`progress: ${done}${total === undefined ? "" : `/${total}`}${text === undefined ? "" : ` ${text}`}`);
}

/**
 * A measured value, kept with the attempt.
 *
 * @param {string} name
 * @param {number} value
 * @param {{ step?: number | undefined }} [options]
 */
export function metric(name, value, { step } = {}) {
  checkNumber("metric", "value", value);
  if (step !== undefined) checkNumber("metric", "step", step);
  const sent = send({ type: "metric", name, value, ...(step === undefined ? {} : { step }) });
  if (!sent) printLocally(`metric: ${name} = ${value}${step === undefined ? "" : ` (step ${step})`}`);
}

/**
 * What is to be known of an output beside its bytes.
 *
 * @param {string} name
 * @param {import("../types/index.d.ts").OutputDescription} description
 */
export function describeOutput(name, description) {
  const sent = send({ type: "output", name, ...description });
  if (!sent) printLocally(`output: ${name} ${JSON.stringify(description)}`);
}

/**
 * Appends one line to the file that Berth reads; false outside of Berth. Written at once and in one call, so that lines
 * of several processes do not mix.
 *
 * @param {Readonly<Record<string, unknown>>} message
 */
export function send(message) {
  const file = process.env.BERTH_MESSAGES;
  if (!file) return false;
  const line = `${JSON.stringify(message)}\n`;
  if (Buffer.byteLength(line) > LINE_MAX_BYTES) {
    throw new RangeError(`a message of type ${message.type} has more than ${LINE_MAX_BYTES} bytes`);
  }
  appendFileSync(file, line);
  return true;
}

/** @param {string} text */
function printLocally(text) {
  process.stderr.write(`${text}\n`);
}

/**
 * @param {string} what
 * @param {string} name
 * @param {unknown} value
 */
function checkNumber(what, name, value) {
  if (typeof value === "number" && Number.isFinite(value)) return;
  throw new TypeError(
    `${what}: ${name} must be a finite number, got ${typeof value === "number" ? value : typeof value}`,
  );
}
