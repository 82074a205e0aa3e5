import { closeSync, fstatSync, lstatSync, readSync } from "node:fs";
import { join } from "node:path";
import type { MaskText } from "../protocol/mask-events.ts";
import { MESSAGE_LINE_MAX_BYTES, MESSAGES_FILE_MAX_BYTES } from "../protocol/step-message.ts";
import { openPlainFile } from "../std/open-plain-file.ts";

/** Beside `in` and `out` of an attempt folder; a step knows it as `$BERTH_MESSAGES`. */
export const MESSAGES_FILE = "messages.jsonl";

/** One read: it must hold the longest line. */
const CHUNK_BYTES = 4 * MESSAGE_LINE_MAX_BYTES;
const LINE_FEED = 0x0a;

export interface MessageLine {
  /** Of its first byte within the file. */
  readonly position: number;
  /** Counts lines, from 1. */
  readonly number: number;
  /** Without the secrets in it. Null for a line that is longer than MESSAGE_LINE_MAX_BYTES. */
  readonly text: string | null;
}

/** Why nothing more is read of a file. */
export type MessagesStop = "no plain file" | "shortened" | "too large";

/**
 * Reads the lines of one attempt's messages while the step goes on writing them. Between reads it holds two numbers and
 * no bytes, and reading the same file again gives the same lines: positions and numbers are what a message is known by.
 */
export class MessageLines {
  readonly #path: string;
  readonly #mask: MaskText;
  #position = 0;
  #number = 1;
  /** Inside a line that is too long: up to its end nothing is taken. */
  #skipping = false;
  #stop: MessagesStop | null = null;

  constructor(folder: string, mask: MaskText) {
    this.#path = join(folder, MESSAGES_FILE);
    this.#mask = mask;
  }

  get stop(): MessagesStop | null {
    return this.#stop;
  }

  /** Whether the step has said nothing so far: to look is cheaper than to fail. */
  get isAbsent(): boolean {
    return this.#position === 0 && lstatSync(this.#path, { throwIfNoEntry: false }) === undefined;
  }

  /**
   * The next lines, up to one chunk; null when there are no more whole ones now. With `ended`, what stands after the
   * last line feed is a line, too.
   */
  next({ ended }: { readonly ended: boolean }): MessageLine[] | null {
    if (this.#stop !== null || this.isAbsent) return null;
    const fd = openPlainFile(this.#path);
    if (fd === "absent") return this.#stopped("shortened");
    if (fd === "refused") return this.#stopped("no plain file");
    try {
      return this.#read(fd, ended);
    } finally {
      closeSync(fd);
    }
  }

  #read(fd: number, ended: boolean): MessageLine[] | null {
    const { size } = fstatSync(fd);
    if (size < this.#position) return this.#stopped("shortened");
    if (size === this.#position) return null;
    const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, MESSAGES_FILE_MAX_BYTES - this.#position));
    const bytes = chunk.subarray(0, readSync(fd, chunk, 0, chunk.length, this.#position));
    if (bytes.includes(LINE_FEED)) return this.#wholeLines(bytes);
    if (bytes.length > MESSAGE_LINE_MAX_BYTES || (this.#skipping && bytes.length > 0)) return this.#skip(bytes);
    // At the limit, what is there of a line is not all of it.
    if (size > MESSAGES_FILE_MAX_BYTES && bytes.length === chunk.length) return this.#stopped("too large");
    return ended && bytes.length > 0 ? [this.#take(bytes, bytes.length)] : null;
  }

  #wholeLines(bytes: Buffer): MessageLine[] {
    const lines: MessageLine[] = [];
    let start = 0;
    for (let end = bytes.indexOf(LINE_FEED); end >= 0; end = bytes.indexOf(LINE_FEED, start)) {
      const line = this.#take(bytes.subarray(start, end), end + 1 - start);
      // The end of a line that was told to be too long before is no line.
      if (!this.#skipping) lines.push(line);
      this.#skipping = false;
      start = end + 1;
    }
    return lines;
  }

  #take(bytes: Buffer, length: number): MessageLine {
    const text = bytes.length > MESSAGE_LINE_MAX_BYTES ? null : this.#mask(bytes.toString("utf8"));
    const line = { position: this.#position, number: this.#number, text };
    this.#position += length;
    this.#number += 1;
    return line;
  }

  /** Part of a line that is too long: it is told once, when its beginning is seen. */
  #skip(bytes: Buffer): MessageLine[] {
    const line = { position: this.#position, number: this.#number, text: null };
    const isNews = !this.#skipping;
    this.#skipping = true;
    this.#position += bytes.length;
    return isNews ? [line] : [];
  }

  #stopped(why: MessagesStop): null {
    this.#stop = why;
    return null;
  }
}
