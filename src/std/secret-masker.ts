import { type Covered, cover, FormSearch, type Found } from "./form-search.ts";
import { MASKED_MIN_BYTES, secretForms } from "./secret-forms.ts";

/** What stands for a secret where nothing is counted by its bytes: it does not tell how long the secret is. */
export const MASK = "***";

const ASTERISK = 0x2a;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/**
 * Forms of fewer bytes are looked for by themselves: a short one shortens the steps in which text is gone through, and most
 * secrets are long.
 */
const LONG_FORM_BYTES = 16;

/**
 * Finds the forms of secret values. A byte is masked exactly where it belongs to some occurrence of some form, overlapping
 * ones included, so that what is found does not depend on where a stream is cut.
 */
export class SecretMasker {
  /** Of the longest form. */
  readonly longest: number;
  readonly #forms: readonly Buffer[];
  readonly #searches: readonly FormSearch[];

  constructor(values: Iterable<Uint8Array>) {
    const forms = new Map<string, Buffer>();
    for (const value of values) for (const form of secretForms(value)) forms.set(form.toString("latin1"), form);
    this.#forms = [...forms.values()];
    this.longest = this.#forms.reduce((longest, { length }) => Math.max(longest, length), 0);
    const isLong = ({ length }: Buffer) => length >= LONG_FORM_BYTES;
    const classes = [this.#forms.filter(isLong), this.#forms.filter((form) => !isLong(form))];
    this.#searches = classes.filter(({ length }) => length > 0).map((some) => new FormSearch(some));
  }

  get isEmpty(): boolean {
    return this.longest === 0;
  }

  find(bytes: Buffer): Found {
    const found = this.#searches.map((search) => search.find(bytes));
    const open = Math.min(bytes.length, ...found.map((one) => one.open));
    return { covered: joined(found.flatMap(({ covered }) => covered)), open };
  }

  /** The same where nothing comes after these bytes: what is left there of a form that was cut off belongs to it, too. */
  findLast(bytes: Buffer): readonly Covered[] {
    const { covered, open } = this.find(bytes);
    if (bytes.length - open < MASKED_MIN_BYTES) return covered;
    return joined([...covered, { start: open, end: bytes.length }]);
  }

  /** Text with `***` for each secret. Where it was cut off at an end, so is what may be left of a secret there. */
  text(text: string, cut: { readonly atStart?: boolean; readonly atEnd?: boolean } = {}): string {
    if (this.isEmpty) return text;
    const bytes = Buffer.from(text);
    const covered = cut.atEnd === true ? this.findLast(bytes) : this.find(bytes).covered;
    const rest = cut.atStart === true ? this.#restOfForm(bytes) : 0;
    if (rest > 0) return replaced(bytes, joined([{ start: 0, end: rest }, ...covered]));
    return covered.length === 0 ? text : replaced(bytes, covered);
  }

  /** How many bytes at the beginning are the end of a form of which the beginning is not there. */
  #restOfForm(bytes: Buffer): number {
    if (bytes.length < MASKED_MIN_BYTES) return 0;
    const first = bytes.subarray(0, MASKED_MIN_BYTES);
    let longest = 0;
    for (const form of this.#forms) {
      for (let at = form.indexOf(first, 1); at >= 0; at = form.indexOf(first, at + 1)) {
        const length = form.length - at;
        if (length <= bytes.length && bytes.compare(form, at, form.length, 0, length) === 0) {
          longest = Math.max(longest, length);
        }
      }
    }
    return longest;
  }
}

/**
 * Bytes, as many as there were, with an asterisk for each that is covered. Ends of lines stay, so that lines keep their
 * numbers. The same bytes are returned where nothing is covered.
 */
export function starred(bytes: Buffer, covered: readonly Covered[]): Buffer {
  if (covered.every(({ start, end }) => start === end)) return bytes;
  const masked = Buffer.from(bytes);
  for (const { start, end } of covered) {
    for (let at = start; at < end; at++) {
      if (masked[at] !== LINE_FEED && masked[at] !== CARRIAGE_RETURN) masked[at] = ASTERISK;
    }
  }
  return masked;
}

function replaced(bytes: Buffer, covered: readonly Covered[]): string {
  const parts: string[] = [];
  let from = 0;
  for (const { start, end } of covered) {
    parts.push(bytes.toString("utf8", from, start), MASK);
    from = end;
  }
  return [...parts, bytes.toString("utf8", from)].join("");
}

/** In order, and without what touches. */
function joined(covered: readonly Covered[]): Covered[] {
  if (covered.length < 2) return [...covered];
  const all: { start: number; end: number }[] = [];
  for (const { start, end } of covered.toSorted((a, b) => a.start - b.start)) cover(all, start, end);
  return all;
}
