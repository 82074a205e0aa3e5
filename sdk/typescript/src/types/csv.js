import { nameOf } from "./name-of.js";

/**
 * Rows as objects, all values strings, by the names of the header. What is not quite CSV is refused, with its line, and
 * never read some other way. A mark of the encoding at the start is no part of the first name.
 *
 * @param {string} text
 * @returns {Record<string, string>[]}
 */
export function readCsv(text) {
  if (text.includes("\0")) throw new SyntaxError("it is no text: it holds zero bytes");
  const rows = rowsOf(text.startsWith("\ufeff") ? text.slice(1) : text);
  const first = rows.next().value;
  if (first === undefined) return [];
  const names = first.cells;
  const twice = [...new Set(names.filter((name, index) => names.indexOf(name) !== index))].sort();
  if (twice.length > 0)
    throw new SyntaxError(`its header names ${twice.map((name) => `'${name}'`).join(", ")} more than once`);
  const records = [];
  for (const { cells, line } of rows) {
    if (cells.length !== names.length) {
      const found = cells.length === 1 ? "1 cell" : `${cells.length} cells`;
      throw new SyntaxError(`line ${line} has ${found}, and the header has ${names.length}`);
    }
    records.push(Object.fromEntries(cells.map((cell, column) => [names[column], cell])));
  }
  return records;
}

/**
 * Every row that is no empty line, with the number of the line at which it ends.
 *
 * @param {string} text
 * @returns {Generator<{ cells: string[], line: number }, undefined>}
 */
function* rowsOf(text) {
  let position = 0;
  let line = 0;
  while (position < text.length) {
    /** @type {string[]} */
    const cells = [];
    const isEmpty = text[position] === "\n" || text[position] === "\r";
    line++;
    for (;;) {
      const cell = readCell(text, position, line);
      cells.push(cell.value);
      position = cell.end;
      line += cell.breaks;
      if (text[position] !== ",") break;
      position++;
    }
    position += text.startsWith("\r\n", position) ? 2 : 1;
    if (!isEmpty) yield { cells, line };
  }
  return undefined;
}

/**
 * @param {string} text
 * @param {number} start
 * @param {number} line
 */
function readCell(text, start, line) {
  if (text[start] !== '"') {
    const end = endOfCell(text, start);
    return { value: text.slice(start, end), end, breaks: 0 };
  }
  let value = "";
  let position = start + 1;
  for (;;) {
    const quote = text.indexOf('"', position);
    if (quote === -1) throw new SyntaxError(`line ${line}: a quote that is opened there is not closed`);
    value += text.slice(position, quote);
    position = quote + 1;
    if (text[position] !== '"') break;
    value += '"';
    position++;
  }
  const breaks = value.match(/\r\n|\r|\n/g)?.length ?? 0;
  if (endOfCell(text, position) !== position) {
    throw new SyntaxError(`line ${line + breaks}: ',' expected after '"'`);
  }
  return { value, end: position, breaks };
}

/**
 * @param {string} text
 * @param {number} start
 */
function endOfCell(text, start) {
  let end = start;
  while (end < text.length && text[end] !== "," && text[end] !== "\n" && text[end] !== "\r") end++;
  return end;
}

/**
 * Columns in the order in which they first appear in any row; a list of lists is written as it is, its first row being
 * the header.
 *
 * @param {unknown} value
 */
export function writeCsv(value) {
  if (typeof value !== "object" || value === null || !(Symbol.iterator in value)) {
    throw new TypeError(`expected a list of rows, got ${nameOf(value)}`);
  }
  const rows = [.../** @type {Iterable<unknown>} */ (value)];
  if (rows.length === 0 || Array.isArray(rows[0])) {
    const text = rows.map((row, index) => lineOf(index + 1, cellsOf(index + 1, row))).join("");
    return { text, schema: { rows: Math.max(rows.length - 1, 0) } };
  }
  const records = rows.map(recordOf);
  const names = [...new Set(records.flatMap((row) => Object.keys(row)))];
  const lines = records.map((row, index) =>
    lineOf(
      index + 1,
      names.map((name) => row[name]),
    ),
  );
  return {
    text: [lineOf(0, names), ...lines].join(""),
    schema: { columns: names.map((name) => ({ name })), rows: rows.length },
  };
}

/**
 * @param {unknown} row
 * @returns {Record<string, unknown>}
 */
function recordOf(row) {
  if (typeof row === "object" && row !== null && !Array.isArray(row))
    return /** @type {Record<string, unknown>} */ (row);
  throw new TypeError(`rows are either all objects or all lists; one is ${nameOf(row)}`);
}

/**
 * @param {number} number
 * @param {unknown} row
 */
function cellsOf(number, row) {
  if (!Array.isArray(row)) throw new TypeError(`row ${number} is no list of cells but ${nameOf(row)}`);
  return /** @type {unknown[]} */ (row);
}

/**
 * @param {number} number
 * @param {readonly unknown[]} cells
 */
function lineOf(number, cells) {
  const texts = cells.map((value) => cellText(number, value));
  // A row of one empty value would else be an empty line, which is no row.
  return `${texts.length === 1 && texts[0] === "" ? '""' : texts.join(",")}\n`;
}

/**
 * @param {number} number
 * @param {unknown} value
 */
function cellText(number, value) {
  if (value === null || value === undefined) return "";
  if (
    (typeof value === "object" && !(value instanceof Date)) ||
    typeof value === "function" ||
    typeof value === "symbol"
  ) {
    throw new TypeError(`a cell of row ${number} is ${nameOf(value)}, and CSV holds texts and numbers: use json`);
  }
  const text = value instanceof Date ? value.toISOString() : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
