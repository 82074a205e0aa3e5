import type { Readable } from "node:stream";

/** Thrown where a preview would have to read more than it may. */
export class PreviewLimit extends Error {
  override readonly name = "PreviewLimit";
}

export type OpenRange = (start: number, end: number) => Promise<Readable | null>;

/** Reads parts of one blob, no more bytes than its budget, and not after its signal was aborted. */
export class BoundedReader {
  readonly size: number;
  readonly signal: AbortSignal;
  readonly #open: OpenRange;
  #budget: number;

  constructor(size: number, open: OpenRange, limits: { readonly budgetBytes: number; readonly signal: AbortSignal }) {
    this.size = size;
    this.signal = limits.signal;
    this.#open = open;
    this.#budget = limits.budgetBytes;
  }

  /** Bytes from `start` on, fewer than `length` where the blob ends before. */
  async read(start: number, length: number): Promise<Buffer> {
    const end = Math.min(this.size, start + length);
    if (!(start >= 0) || end <= start) return Buffer.alloc(0);
    const wanted = end - start;
    this.#budget -= wanted;
    if (this.#budget < 0) throw new PreviewLimit("more of it would have to be read than a preview may");
    this.#throwIfLate();
    const stream = await this.#open(start, end - 1);
    if (stream === null) throw new PreviewLimit("its bytes are not in the store any more");
    const late = () => void stream.destroy(new PreviewLimit("reading it took too long"));
    this.signal.addEventListener("abort", late, { once: true });
    try {
      const chunks: Uint8Array[] = [];
      let size = 0;
      for await (const chunk of stream as AsyncIterable<Uint8Array>) {
        chunks.push(chunk);
        size += chunk.length;
        if (size >= wanted) break;
      }
      return Buffer.concat(chunks).subarray(0, wanted);
    } finally {
      this.signal.removeEventListener("abort", late);
      stream.destroy();
    }
  }

  #throwIfLate(): void {
    if (this.signal.aborted) throw new PreviewLimit("reading it took too long");
  }
}
