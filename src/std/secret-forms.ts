import { isUtf8 } from "node:buffer";

/**
 * Shorter values, and shorter lines of longer ones, are not masked: they are found in too much that has nothing to do with
 * them, and a log full of asterisks would tell what they are.
 */
export const MASKED_MIN_BYTES = 6;

/** Columns at which programs break base64: `base64` and mail, and PEM. */
const BASE64_COLUMNS = [76, 64] as const;
/** As `xxd -p` breaks hexadecimal. */
const HEX_COLUMNS = 60;

/** Whether a value is long enough to be masked. What surrounds it as blank space is no part of it. */
export function isMaskable(value: Uint8Array): boolean {
  return trimmed(value).length >= MASKED_MIN_BYTES;
}

/**
 * The byte sequences by which a value is recognised: itself, its lines, and how common programs write it. None is shorter
 * than MASKED_MIN_BYTES; there is none of a value that is shorter.
 */
export function secretForms(value: Uint8Array): Buffer[] {
  const core = trimmed(value);
  if (core.length < MASKED_MIN_BYTES) return [];
  // Without the space around it: a value that begins with a line break would make every line's end the beginning of one.
  const forms = new Set([latin1(core), ...shellForms(core), ...linesOf(core)]);
  for (const bytes of core.length === value.length ? [core] : [core, Buffer.from(value)]) {
    for (const encode of ENCODINGS) for (const form of encode(bytes)) forms.add(form);
  }
  return [...forms].map((form) => Buffer.from(form, "latin1")).filter(({ length }) => length >= MASKED_MIN_BYTES);
}

/** Each byte as `%` and its digits. */
const PERCENT_LOWER = Array.from({ length: 256 }, (_, byte) => `%${byte.toString(16).padStart(2, "0")}`);
const PERCENT_UPPER = PERCENT_LOWER.map((text) => text.toUpperCase());

/** Bytes as text, one character each: only so can any bytes be worked on by characters. */
type Latin1 = string;

const ENCODINGS: readonly ((value: Buffer) => Iterable<Latin1>)[] = [base64Forms, hexForms, percentForms, jsonForms];

function latin1(bytes: Buffer): Latin1 {
  return bytes.toString("latin1");
}

const BLANK = new Set([0x00, 0x09, 0x0a, 0x0d, 0x20]);

function trimmed(value: Uint8Array): Buffer {
  let start = 0;
  let end = value.length;
  while (start < end && BLANK.has(value[start]!)) start += 1;
  while (end > start && BLANK.has(value[end - 1]!)) end -= 1;
  return Buffer.from(value.buffer, value.byteOffset + start, end - start);
}

/** Each line by itself: what is printed line by line may have something in front of each. */
function linesOf(core: Buffer): Latin1[] {
  const lines = latin1(core)
    .split(/[\r\n]+/)
    .map((line) => line.replace(/^[\t ]+|[\t ]+$/g, ""));
  if (lines.length === 1) return [];
  return lines.flatMap((line) => [line, ...jsonForms(Buffer.from(line, "latin1"))]);
}

/**
 * Within longer text, a value stands at one of three places of a group of three bytes. Of each, the characters that the
 * value alone decides; at the end also those that it decides when nothing follows.
 */
function* base64Forms(value: Buffer): Generator<Latin1> {
  for (const before of [0, 1, 2]) {
    const encoded = Buffer.concat([Buffer.alloc(before), value]).toString("base64");
    const whole = encoded.slice(Math.ceil((before * 8) / 6));
    const open = whole.replace(/=+$/, "");
    const isShared = (before + value.length) % 3 !== 0;
    for (const form of new Set([whole, open, isShared ? open.slice(0, -1) : open])) {
      yield form;
      yield form.replaceAll("+", "-").replaceAll("/", "_");
    }
  }
  const alone = value.toString("base64");
  for (const columns of BASE64_COLUMNS) yield* broken(alone, columns);
}

function* hexForms(value: Buffer): Generator<Latin1> {
  const lower = value.toString("hex");
  for (const hex of [lower, lower.toUpperCase()]) {
    yield hex;
    yield* broken(hex, HEX_COLUMNS);
  }
}

/** The lines of text that a program breaks at a column; none where it fits in one. */
function broken(text: Latin1, columns: number): Latin1[] {
  return text.length <= columns ? [] : text.match(new RegExp(`.{1,${columns}}`, "g"))!;
}

const ALWAYS_KEPT = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
/** What else stays as it is: by RFC 3986, in JavaScript, in a path by Python, in a form, in a whole URL. */
const ALSO_KEPT = ["~", "~!*'()", "~/", "*", "~!*'();/?:@&=+$,#"] as const;
/** And where nothing does. */
const KEPT = [...ALSO_KEPT.map((also) => new Set(Buffer.from(ALWAYS_KEPT + also))), new Set<number>()];

function* percentForms(value: Buffer): Generator<Latin1> {
  for (const kept of KEPT) {
    for (const escapes of [PERCENT_UPPER, PERCENT_LOWER]) {
      let escaped = "";
      for (const byte of value) escaped += kept.has(byte) ? String.fromCharCode(byte) : escapes[byte]!;
      yield escaped;
      if (value.includes(0x20)) yield escaped.replaceAll("%20", "+");
    }
  }
}

/** Inside of a string of JSON, and inside of such a string that holds JSON itself, as logs of requests do. */
function* jsonForms(value: Buffer): Generator<Latin1> {
  if (!isUtf8(value)) return;
  const plain = inJson(value.toString("utf8"));
  const ascii = plain.replace(/[\u007f-\uffff]/g, unicodeEscape);
  for (const form of [plain, ascii, plain.replace(/[<>&]/g, unicodeEscape), plain.replaceAll("/", "\\/")]) {
    yield latin1(Buffer.from(form));
    yield latin1(Buffer.from(inJson(form)));
  }
}

function inJson(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

function unicodeEscape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** As shells write it when they trace commands, and as programs quote it for them. */
function* shellForms(value: Buffer): Generator<Latin1> {
  const text = latin1(value);
  yield text.replaceAll("'", "'\\''");
  yield text.replaceAll("'", `'"'"'`);
  yield text.replace(/[\\"$`]/g, "\\$&");
  yield text.replace(/[^\w@%+=:,./\x80-\xff-]/g, "\\$&");
  yield text.replace(/[\\']/g, "\\$&").replaceAll("\n", "\\n").replaceAll("\r", "\\r").replaceAll("\t", "\\t");
}
