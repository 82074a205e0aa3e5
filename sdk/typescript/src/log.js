import { lenientLine } from "./lenient-line.js";

/** Begins a line that is a structured one: no program prints it by chance. */
const MARK = "\u001e";
/** What an agent takes of one line, less the mark and the line break. */
const LINE_MAX_BYTES = 64 * 1024 - 8;
const MESSAGE_MAX_CHARS = 8_000;
const FIELD_MAX_CHARS = 2_000;

/** @typedef {"debug" | "info" | "warning" | "error"} Level */
/** @typedef {Readonly<Record<string, unknown>>} Fields */

/** Lines with a level and fields. Under Berth they are structured; elsewhere they are for people. */
export const log = {
  /**
   * Details that help to find out what went wrong.
   *
   * @param {string} message
   * @param {Fields} [fields]
   */
  debug: (message, fields) => write("debug", message, fields),
  /**
   * Something that went as it should.
   *
   * @param {string} message
   * @param {Fields} [fields]
   */
  info: (message, fields) => write("info", message, fields),
  /**
   * Something that somebody should look at.
   *
   * @param {string} message
   * @param {Fields} [fields]
   */
  warning: (message, fields) => write("warning", message, fields),
  /**
   * Something that went wrong.
   *
   * @param {string} message
   * @param {Fields} [fields]
   */
  error: (message, fields) => write("error", message, fields),
};

/**
 * @param {Level} level
 * @param {string} message
 * @param {Fields} [fields]
 */
function write(level, message, fields = {}) {
  const text = String(message);
  const line =
    process.env.BERTH_MESSAGES === undefined ? plainLine(level, text, fields) : structuredLine(level, text, fields);
  process.stderr.write(`${line}\n`);
}

/**
 * @param {Level} level
 * @param {string} message
 * @param {Fields} fields
 */
function plainLine(level, message, fields) {
  const words = Object.entries(fields).map(
    ([name, value]) => `${name}=${typeof value === "string" ? value : lenientLine(value)}`,
  );
  return [level.toUpperCase(), message, ...words].join(" ");
}

/**
 * @param {Level} level
 * @param {string} message
 * @param {Fields} fields
 */
function structuredLine(level, message, fields) {
  const at = new Date().toISOString();
  const short = message.slice(0, MESSAGE_MAX_CHARS);
  const cut = Object.entries(fields).map(([name, value]) => [name, asText(value).slice(0, FIELD_MAX_CHARS)]);
  const leftOut = { left_out: `${cut.length} fields, which are too long for one line` };
  const lines = [
    () => lenientLine({ level, message, fields, at }),
    () => lenientLine({ level, message: short, fields: Object.fromEntries(cut), at }),
  ];
  const line = lines.map((make) => make()).find((each) => Buffer.byteLength(each) <= LINE_MAX_BYTES);
  return MARK + (line ?? lenientLine({ level, message: short, fields: leftOut, at }));
}

/** @param {unknown} value */
function asText(value) {
  return typeof value === "string" ? value : (lenientLine(value) ?? String(value));
}
