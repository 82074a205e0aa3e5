import { Worker } from "node:worker_threads";

export interface PartDigest {
  /** From 1. */
  readonly number: number;
  /** Of its first byte. */
  readonly start: number;
  readonly size: number;
  /** In base64. */
  readonly md5: string;
}

/** What the thread answers. */
export type PartAnswer =
  | { readonly part: PartDigest }
  | { readonly digest: string; readonly size: number }
  | { readonly error: unknown };

/**
 * The MD5 of each part of a file, in order, and in the end the SHA-256 of the whole, of the same read. A thread of its
 * own computes one part ahead of what was asked for, so that hashing and sending go on side by side.
 */
export class PartDigests implements AsyncDisposable {
  readonly #worker: Worker;
  readonly #answers: PartAnswer[] = [];
  #wake = Promise.withResolvers<void>();
  #end: { readonly digest: string; readonly size: number } | null = null;

  constructor(path: string, partBytes: number) {
    this.#worker = new Worker(new URL("./part-digests-worker.ts", import.meta.url), {
      workerData: { path, partBytes },
      resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4 },
    });
    this.#worker.on("message", (answer: PartAnswer) => this.#take(answer));
    this.#worker.on("error", (error) => this.#take({ error }));
    this.#worker.postMessage("next");
  }

  /** Null after the last; a file without bytes has one part without bytes. */
  async next(): Promise<PartDigest | null> {
    while (this.#answers.length === 0) await this.#wake.promise;
    const answer = this.#answers[0]!;
    if ("error" in answer) throw answer.error;
    if (!("part" in answer)) {
      this.#end = answer;
      return null;
    }
    this.#answers.shift();
    this.#worker.postMessage("next");
    return answer.part;
  }

  /** Of the whole file, once `next` was null. */
  get whole(): { readonly digest: string; readonly size: number } {
    if (this.#end === null) throw new Error("the file was not read to its end yet");
    return this.#end;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate();
  }

  #take(answer: PartAnswer): void {
    this.#answers.push(answer);
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  }
}
