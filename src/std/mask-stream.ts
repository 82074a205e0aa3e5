import { type SecretMasker, starred } from "./secret-masker.ts";

const NOTHING = Buffer.alloc(0);

/**
 * Masks a stream of bytes that comes in pieces: what goes out is the same wherever it is cut. Each byte stays at its place,
 * and ends of lines stay.
 *
 * What may be the beginning of a secret is held back until more tells, or the stream ends: never more than the longest
 * form of one, and not because time passed, or a program that pauses between characters could write a secret out. The end
 * of a line is held back only where a secret of several lines goes on after it.
 */
export class MaskStream {
  /** The masker of the moment: further values may become known while the stream goes on. */
  readonly #masker: () => SecretMasker;
  #held: Buffer = NOTHING;
  /** How much of what is held is known to belong to a secret that began before it. */
  #heldCovered = 0;

  constructor(masker: () => SecretMasker) {
    this.#masker = masker;
  }

  /** What can go out with these bytes; it may be `chunk` itself. */
  write(chunk: Buffer): Buffer {
    const bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    const { covered, open } = this.#masker().find(bytes);
    const masked = starred(bytes, [{ start: 0, end: this.#heldCovered }, ...covered]);
    const coveredTo = Math.max(this.#heldCovered, covered.at(-1)?.end ?? 0);
    // A copy: a few bytes must not hold on to all of what came before them.
    this.#held = open === bytes.length ? NOTHING : Buffer.from(bytes.subarray(open));
    this.#heldCovered = Math.max(0, coveredTo - open);
    return masked.subarray(0, open);
  }

  /** What was held back, when nothing more comes. */
  end(): Buffer {
    const covered = this.#masker().findLast(this.#held);
    const masked = starred(this.#held, [{ start: 0, end: this.#heldCovered }, ...covered]);
    this.#held = NOTHING;
    this.#heldCovered = 0;
    return masked;
  }
}
