/** One stream of a fake step: an append-only list of bytes that readers follow. */
export class MemoryLog {
  #bytes = Buffer.alloc(0);
  #closed = false;
  #wake = Promise.withResolvers<void>();

  append(chunk: Uint8Array): void {
    if (this.#closed) return;
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    this.#notify();
  }

  close(): void {
    this.#closed = true;
    this.#notify();
  }

  async *read(offset: number, follow: boolean, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
    const aborted = new Promise<void>((resolve) => {
      signal?.addEventListener("abort", () => resolve(), { once: true });
    });
    let position = offset;
    for (;;) {
      signal?.throwIfAborted();
      if (position < this.#bytes.length) {
        const chunk = this.#bytes.subarray(position);
        position += chunk.length;
        yield chunk;
        continue;
      }
      if (!follow || this.#closed) return;
      await Promise.race([this.#wake.promise, aborted]);
    }
  }

  #notify(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers<void>();
  }
}
