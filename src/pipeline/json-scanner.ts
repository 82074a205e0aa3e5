import { BatchInputError } from "./batch-input-error.ts";

/** Deeper than data is, and shallow enough for what reads it afterwards. */
const DEPTH_MAX = 1_000;
const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;
const LITERALS = new Set(["true", "false", "null"]);
/** Longer numbers exist only to be refused. */
const SCALAR_MAX_CHARS = 400;

const code = (char: string) => char.charCodeAt(0);
const [QUOTE, BACKSLASH, COMMA, COLON] = [code('"'), code("\\"), code(","), code(":")];
const [OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT] = [code("["), code("]"), code("{"), code("}")];
const SPACES = new Set([" ", "\t", "\n", "\r"].map(code));

type Expected = "value" | "value-or-close" | "key" | "key-or-close" | "colon" | "comma-or-close" | "nothing";

const WANTED: Readonly<Record<Expected, string>> = {
  value: "a value",
  "value-or-close": "a value or ']'",
  key: "a key",
  "key-or-close": "a key or '}'",
  colon: "':'",
  "comma-or-close": "',' or the end of the list or object",
  nothing: "the end of the file",
};

export interface JsonEvents {
  /** A whole value ended: its depth (0 is the document itself, 1 an item of it) and its bytes `[start, end)`. */
  onValue(depth: number, start: number, end: number): void;
}

/** Checks one JSON document that comes in chunks, in memory that does not grow with it. */
export class JsonScanner {
  readonly #root: "any" | "array";
  readonly #events: JsonEvents;
  #offset = 0;
  #expected: Expected = "value";
  /** What is open, outermost first, and where it began. */
  readonly #open: { readonly isArray: boolean; readonly start: number }[] = [];
  #inString: "no" | "value" | "key" = "no";
  #escaped = false;
  #stringStart = 0;
  #scalar = "";

  /** With `root: "array"` a document that is no array is refused at its first byte. */
  constructor(root: "any" | "array", events: JsonEvents) {
    this.#root = root;
    this.#events = events;
  }

  scan(chunk: Uint8Array): void {
    for (const byte of chunk) {
      if (this.#inString === "no") this.#step(byte);
      else this.#stepString(byte);
      this.#offset++;
    }
  }

  end(): void {
    if (this.#inString !== "no") throw new BatchInputError("a JSON text is never closed", this.#stringStart);
    this.#endScalar();
    const unclosed = this.#open.at(-1);
    if (unclosed)
      throw new BatchInputError(`a JSON ${unclosed.isArray ? "list" : "object"} is never closed`, unclosed.start);
    if (this.#expected !== "nothing") throw new BatchInputError("the file is empty, which is no JSON", 0);
  }

  #stepString(byte: number): void {
    if (this.#escaped) this.#escaped = false;
    else if (byte === BACKSLASH) this.#escaped = true;
    else if (byte === QUOTE) {
      if (this.#inString === "key") this.#expected = "colon";
      else this.#valueEnds(this.#stringStart, this.#offset + 1);
      this.#inString = "no";
    } else if (byte < 0x20) throw new BatchInputError("a JSON text holds a bare control character", this.#offset);
  }

  #step(byte: number): void {
    if (byte === QUOTE) this.#openString();
    else if (byte === OPEN_ARRAY || byte === OPEN_OBJECT) this.#openContainer(byte === OPEN_ARRAY);
    else if (byte === CLOSE_ARRAY || byte === CLOSE_OBJECT) this.#closeContainer(byte === CLOSE_ARRAY);
    else if (byte === COMMA) this.#comma();
    else if (byte === COLON) this.#colon();
    else if (SPACES.has(byte)) this.#endScalar();
    else this.#scalarByte(byte);
  }

  #beginValue(isArray: boolean): void {
    if (this.#expected !== "value" && this.#expected !== "value-or-close") this.#refuse();
    if (this.#root === "array" && this.#open.length === 0 && !isArray) {
      throw new BatchInputError("expected a JSON array", this.#offset);
    }
  }

  #openString(): void {
    this.#endScalar();
    if (this.#expected === "key" || this.#expected === "key-or-close") this.#inString = "key";
    else {
      this.#beginValue(false);
      this.#inString = "value";
    }
    this.#stringStart = this.#offset;
  }

  #openContainer(isArray: boolean): void {
    this.#endScalar();
    this.#beginValue(isArray);
    if (this.#open.length >= DEPTH_MAX)
      throw new BatchInputError(`JSON nested more than ${DEPTH_MAX} deep`, this.#offset);
    this.#open.push({ isArray, start: this.#offset });
    this.#expected = isArray ? "value-or-close" : "key-or-close";
  }

  #closeContainer(isArray: boolean): void {
    this.#endScalar();
    const empty = isArray ? "value-or-close" : "key-or-close";
    const top = this.#open.at(-1);
    if (top?.isArray !== isArray || (this.#expected !== "comma-or-close" && this.#expected !== empty)) this.#refuse();
    this.#open.pop();
    this.#valueEnds(top.start, this.#offset + 1);
  }

  #comma(): void {
    this.#endScalar();
    if (this.#expected !== "comma-or-close") this.#refuse();
    this.#expected = this.#open.at(-1)!.isArray ? "value" : "key";
  }

  #scalarByte(byte: number): void {
    this.#beginValue(false);
    if (this.#scalar.length >= SCALAR_MAX_CHARS) this.#refuse();
    this.#scalar += String.fromCharCode(byte);
  }

  #colon(): void {
    if (this.#expected !== "colon") this.#refuse();
    this.#expected = "value";
  }

  /** Numbers and literals end where something else begins. */
  #endScalar(): void {
    if (this.#scalar === "") return;
    const start = this.#offset - this.#scalar.length;
    if (!LITERALS.has(this.#scalar) && !NUMBER.test(this.#scalar)) {
      throw new BatchInputError("neither a number nor true, false or null in JSON", start);
    }
    this.#scalar = "";
    this.#valueEnds(start, this.#offset);
  }

  #valueEnds(start: number, end: number): void {
    this.#expected = this.#open.length === 0 ? "nothing" : "comma-or-close";
    this.#events.onValue(this.#open.length, start, end);
  }

  #refuse(): never {
    throw new BatchInputError(`not valid JSON: expected ${WANTED[this.#expected]}`, this.#offset);
  }
}
