/**
 * Rows as objects, all values strings; the first row names the columns. RFC 4180: quotes, quotes within quotes, line
 * breaks within quotes. A mark of the encoding at the start is no part of the first name.
 *
 * @param {string} text
 * @returns {Record<string, string>[]}
 */
export function readCsv(text) {
  const rows = parseCsv(text.startsWith("\ufeff") ? text.slice(1) : text);
  const [names, ...records] = rows;
  if (names === undefined) return [];
  return records.map((cells, index) => {
    if (cells.length > names.length) {
      throw new SyntaxError(`row ${index + 1} has ${cells.length} values, but there are ${names.length} columns`);
    }
    return Object.fromEntries(cells.map((cell, column) => [names[column], cell]));
  });
}

/**
 * @param {string} text
 * @returns {string[][]}
 */
function parseCsv(text) {
  const rows = [];
  /** @type {string[]} */
  let row = [];
  let position = 0;
  while (position < text.length) {
    const cell = readCell(text, position);
    row.push(cell.value);
    position = cell.end;
    if (text[position] === ",") {
      position++;
      // A comma at the very end stands before one more empty value.
      if (position === text.length) row.push("");
      else continue;
    }
    position += text.startsWith("\r\n", position) ? 2 : 1;
    // An empty line is no row.
    if (row.length > 1 || row[0] !== "" || cell.quoted) rows.push(row);
    row = [];
  }
  return rows;
}

/**
 * @param {string} text
 * @param {number} start
 */
function readCell(text, start) {
  if (text[start] !== '"') {
    let end = start;
    while (end < text.length && text[end] !== "," && text[end] !== "\n" && text[end] !== "\r") end++;
    return { value: text.slice(start, end), end, quoted: false };
  }
  let value = "";
  let position = start + 1;
  for (;;) {
    const quote = text.indexOf('"', position);
    if (quote === -1) throw new SyntaxError(`a quote that is opened at character ${start + 1} is not closed`);
    value += text.slice(position, quote);
    position = quote + 1;
    if (text[position] !== '"') break;
    value += '"';
    position++;
  }
  // What follows a closing quote up to the next comma belongs to the value, as other readers have it.
  const rest = readCellEnd(text, position);
  return { value: value + text.slice(position, rest), end: rest, quoted: true };
}

/**
 * @param {string} text
 * @param {number} start
 */
function readCellEnd(text, start) {
  let end = start;
  while (end < text.length && text[end] !== "," && text[end] !== "\n" && text[end] !== "\r") end++;
  return end;
}

/**
 * Columns in the order in which they first appear in any row; a list of lists is written as it is.
 *
 * @param {unknown} rows
 */
export function writeCsv(rows) {
  if (typeof rows !== "object" || rows === null || !(Symbol.iterator in rows)) {
    throw new TypeError(`expected a list of rows, got ${rows === null ? "null" : typeof rows}`);
  }
  const list = [.../** @type {Iterable<unknown>} */ (rows)];
  if (Array.isArray(list[0])) return list.map((row) => line(/** @type {unknown[]} */ (row))).join("");
  const records = list.map((row, index) => {
    if (typeof row === "object" && row !== null && !Array.isArray(row))
      return /** @type {Record<string, unknown>} */ (row);
    throw new TypeError(`row ${index + 1} is no object, as the rows before it are`);
  });
  if (records.length === 0) return "";
  const names = [...new Set(records.flatMap((row) => Object.keys(row)))];
  return [names, ...records.map((row) => names.map((name) => row[name]))].map(line).join("");
}

/** @param {readonly unknown[]} cells */
function line(cells) {
  const texts = cells.map(cellText);
  // A row of one empty value would else be an empty line, which is no row.
  return `${texts.length === 1 && texts[0] === "" ? '""' : texts.join(",")}\r\n`;
}

/** @param {unknown} value */
function cellText(value) {
  if (value === null || value === undefined) return "";
  const text =
    value instanceof Date ? value.toISOString() : typeof value === "object" ? JSON.stringify(value) : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
