import { LINE_MAX_BYTES } from "./messages.js";

/** Begins a line that is a structured one: no program prints it by chance. */
const RECORD_SEPARATOR = "\u001e";

/** @typedef {"debug" | "info" | "warning" | "error"} Level */

/** Lines with a level and fields. Under Berth they are structured; elsewhere they are for people. */
export const log = {
  /** @param {string} message @param {Readonly<Record<string, unknown>>} [fields] */
  debug: (message, fields) => write("debug", message, fields),
  /** @param {string} message @param {Readonly<Record<string, unknown>>} [fields] */
  info: (message, fields) => write("info", message, fields),
  /** @param {string} message @param {Readonly<Record<string, unknown>>} [fields] */
  warning: (message, fields) => write("warning", message, fields),
  /** @param {string} message @param {Readonly<Record<string, unknown>>} [fields] */
  error: (message, fields) => write("error", message, fields),
};

/**
 * @param {Level} level
 * @param {string} message
 * @param {Readonly<Record<string, unknown>>} [fields]
 */
function write(level, message, fields = {}) {
  const shown = Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, plain(value)]));
  if (process.env.BERTH_MESSAGES === undefined) {
    const words = Object.entries(shown).map(
      ([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`,
    );
    process.stderr.write(`${[level, message, ...words].join(" ")}\n`);
    return;
  }
  const at = new Date().toISOString();
  const line = (/** @type {object} */ record) => `${RECORD_SEPARATOR}${JSON.stringify(record)}\n`;
  const whole = line({ level, message: String(message), fields: shown, at });
  if (Buffer.byteLength(whole) <= LINE_MAX_BYTES) process.stderr.write(whole);
  else {
    const cut = String(message).slice(0, LINE_MAX_BYTES / 8);
    process.stderr.write(line({ level, message: cut, fields: { truncated: true }, at }));
  }
}

/**
 * As JSON can hold it: a log line is no place to fail.
 *
 * @param {unknown} value
 * @returns {unknown}
 */
function plain(value) {
  if (value instanceof Error) return value.message === "" ? value.name : `${value.name}: ${value.message}`;
  if (typeof value === "bigint" || typeof value === "symbol" || typeof value === "function") return String(value);
  if (typeof value === "number" && !Number.isFinite(value)) return String(value);
  try {
    return JSON.parse(JSON.stringify(value) ?? "null");
  } catch {
    return String(value);
  }
}
