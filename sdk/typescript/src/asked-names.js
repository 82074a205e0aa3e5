/**
 * What a function takes out of the one object that it gets: `({ rows, seed = 7 }) => …`.
 *
 * @typedef {object} Asked
 * @property {readonly { readonly name: string, readonly hasDefault: boolean }[]} names
 * @property {boolean} takesRest
 */

const HEAD = /^(?:async\b\s*)?(?:function\b\s*\*?\s*[\w$]*\s*|[\w$]+\s*(?=\())?\(/;
const NAME = /[\w$\u0080-\uffff]+/y;
const BLANK = /(?:\s|\/\/[^\n]*\n|\/\*[\s\S]*?\*\/)*/y;
const TEXT = /"(?:[^"\\]|\\[\s\S])*"|'(?:[^'\\]|\\[\s\S])*'/y;

/**
 * Read from the text of the function, which is JavaScript once types are stripped. Null where it does not say so: it
 * takes the object as a whole, or in a form that is not understood here.
 *
 * @param {Function} called
 * @returns {Asked | null}
 */
export function askedNames(called) {
  const text = Function.prototype.toString.call(called);
  const head = HEAD.exec(text);
  if (head === null || text.endsWith("{ [native code] }")) return null;
  const reader = new Reader(text, head[0].length);
  reader.skip(BLANK);
  if (reader.at(")")) return { names: [], takesRest: false };
  return reader.at("{") ? readPattern(reader) : null;
}

/**
 * @param {Reader} reader
 * @returns {Asked | null}
 */
function readPattern(reader) {
  const names = [];
  reader.position++;
  for (;;) {
    reader.skip(BLANK);
    if (reader.at("}")) return { names, takesRest: false };
    if (reader.at("...")) return { names, takesRest: true };
    const quoted = reader.skip(TEXT);
    const name = quoted === "" ? reader.skip(NAME) : quoted.slice(1, -1);
    reader.skip(BLANK);
    if (name === "") return null;
    // What stands behind a ':' is another name for it, or a pattern within.
    if (reader.at(":") && !reader.skipTo(["=", ",", "}"])) return null;
    const hasDefault = reader.at("=");
    if (hasDefault && !reader.skipTo([",", "}"])) return null;
    names.push({ name, hasDefault });
    if (reader.at(",")) reader.position++;
    else if (!reader.at("}")) return null;
  }
}

/** A place in the text of a function. */
class Reader {
  /**
   * @param {string} text
   * @param {number} position
   */
  constructor(text, position) {
    this.text = text;
    this.position = position;
  }

  /** @param {string} part */
  at(part) {
    return this.text.startsWith(part, this.position);
  }

  /** @param {RegExp} pattern */
  skip(pattern) {
    pattern.lastIndex = this.position;
    const [found = ""] = pattern.exec(this.text) ?? [];
    this.position += found.length;
    return found;
  }

  /**
   * To the first of these that is in no brackets and no text. False where that cannot be told: templates, and slashes,
   * which may be a division or a regular expression.
   *
   * @param {readonly string[]} ends
   */
  skipTo(ends) {
    let depth = 0;
    for (this.position++; this.position < this.text.length; ) {
      this.skip(BLANK);
      if (this.skip(TEXT) !== "") continue;
      const char = this.text.charAt(this.position);
      if (depth === 0 && ends.includes(char) && !this.at("=>") && !this.at("==")) return true;
      if (char === "`" || char === "/") return false;
      if ("([{".includes(char)) depth++;
      else if (")]}".includes(char)) depth--;
      this.position += this.at("=>") || this.at("==") ? 2 : 1;
    }
    return false;
  }
}
