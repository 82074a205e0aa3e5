/** By the last bytes of the window. Two are found by chance in most text, of three hardly any. */
const GRAM = 3;
/** A longer window moves further, and has more bytes by which it may have to stop. */
const WINDOW_MAX = 16;
/** Of hashes of three bytes, which is 256 KiB of moves. */
const HASH_BITS = 18;
/** Of the word, of 32 bits, that holds the mark of a hash. */
const WORD_SHIFT = 5;
const WORD_MASK = 31;

/** Bytes `[start, end)`. */
export interface Covered {
  readonly start: number;
  readonly end: number;
}

export interface Found {
  /** What belongs to a form, in order; none touches another. */
  readonly covered: readonly Covered[];
  /** Where the first beginning of a form stands of which the end is not there yet; the length of all where there is none. */
  readonly open: number;
}

/**
 * Looks for many byte sequences at once, as Wu and Manber do: the last three bytes of a window, which is as long as the
 * shortest of the forms, tell how far it may move without missing one. What is kept grows with the number of forms and not
 * with their length, as an automaton of them would: a secret has up to 64 KiB.
 */
export class FormSearch {
  readonly #window: number;
  /** How far the window may move, by the hash of its last bytes; 0: a form may begin where the window does. */
  readonly #moves: Uint8Array;
  /**
   * A bit for each of them that is not as far as can be. That is most of what there is to ask, and in 32 KiB it stays in the
   * processor's nearest cache: with the moves alone, most of the time goes by in waiting for memory.
   */
  readonly #marks = new Int32Array(2 ** (HASH_BITS - WORD_SHIFT));
  /** By the hash of their first bytes, as many as the window has. */
  readonly #forms = new Map<number, Buffer[]>();
  /** Beginnings that are shorter than the window. */
  readonly #beginnings = new Set<string>();

  /** At least one form; none is shorter than four bytes. */
  constructor(forms: readonly Buffer[]) {
    this.#window = Math.min(WINDOW_MAX, ...forms.map(({ length }) => length));
    this.#moves = new Uint8Array(2 ** HASH_BITS).fill(this.#window - GRAM + 1);
    for (const form of forms) this.#add(form);
  }

  #add(form: Buffer): void {
    const window = this.#window;
    for (let at = 0; at + GRAM <= window; at++) {
      const hash = gramHash(form[at]!, form[at + 1]!, form[at + 2]!);
      this.#moves[hash] = Math.min(this.#moves[hash]!, window - GRAM - at);
      this.#marks[hash >>> WORD_SHIFT]! |= 1 << (hash & WORD_MASK);
    }
    const key = windowHash(form, 0, window);
    const same = this.#forms.get(key);
    if (same === undefined) this.#forms.set(key, [form]);
    else same.push(form);
    for (let length = 1; length < window; length++) this.#beginnings.add(form.toString("latin1", 0, length));
  }

  find(bytes: Buffer): Found {
    const window = this.#window;
    const { length } = bytes;
    const covered: { start: number; end: number }[] = [];
    let open = length;
    for (let last = this.#nextStop(bytes, window - 1); last < length; last = this.#nextStop(bytes, last + 1)) {
      const at = last - window + 1;
      for (const form of this.#forms.get(windowHash(bytes, at, window)) ?? []) {
        const end = Math.min(at + form.length, length);
        if (bytes.compare(form, 0, end - at, at, end) !== 0) continue;
        if (end - at < form.length) open = Math.min(open, at);
        else cover(covered, at, end);
      }
    }
    for (let at = Math.max(0, length - window + 1); at < open; at++) {
      if (this.#beginnings.has(bytes.toString("latin1", at))) open = at;
    }
    return { covered, open };
  }

  /** The last byte of the next window in which a form may begin, from one that ends at `last`; beyond the end without one. */
  #nextStop(bytes: Buffer, last: number): number {
    const moves = this.#moves;
    const marks = this.#marks;
    const furthest = this.#window - GRAM + 1;
    const { length } = bytes;
    let at = last;
    while (at < length) {
      const hash = gramHash(bytes[at - 2]!, bytes[at - 1]!, bytes[at]!);
      if ((marks[hash >>> WORD_SHIFT]! & (1 << (hash & WORD_MASK))) === 0) {
        at += furthest;
        continue;
      }
      const move = moves[hash]!;
      if (move === 0) return at;
      at += move;
    }
    return at;
  }
}

/** Adds what does not begin before the last one of them. */
export function cover(covered: { start: number; end: number }[], start: number, end: number): void {
  const last = covered.at(-1);
  if (last === undefined || start > last.end) covered.push({ start, end });
  else last.end = Math.max(last.end, end);
}

const GOLDEN_RATIO = 0x9e3779b1;

/** The upper bits of such a product depend on all of the input. */
function gramHash(first: number, second: number, third: number): number {
  return Math.imul((first << 16) | (second << 8) | third, GOLDEN_RATIO) >>> (32 - HASH_BITS);
}

/** Of the first and the last four bytes of a window: what is the same in both is compared in whole. */
function windowHash(bytes: Buffer, at: number, window: number): number {
  return Math.imul(bytes.readInt32LE(at), GOLDEN_RATIO) ^ bytes.readInt32LE(at + window - 4);
}
