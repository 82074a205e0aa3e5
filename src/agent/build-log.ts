import { appendFileSync, existsSync, mkdirSync } from "node:fs";
import { open } from "node:fs/promises";
import { dirname } from "node:path";
import { MaskStream } from "../std/mask-stream.ts";
import type { KnownSecrets } from "./known-secrets.ts";
import type { LogSource } from "./log-shipper.ts";

/**
 * What building or pulling an image prints, on disk until the server has it, without the secrets in it. It is shown as the `build` stream of the
 * first attempt that waits for the image.
 */
export class BuildLog implements LogSource {
  readonly stepRun: string;
  readonly attempt: number;
  readonly stream = "build";
  readonly #file: string;
  readonly #masked: MaskStream;
  #begun = false;

  constructor(
    file: string,
    shownAt: { readonly stepRun: string; readonly attempt: number },
    secrets: Pick<KnownSecrets, "masker">,
  ) {
    this.#file = file;
    this.#masked = new MaskStream(() => secrets.masker);
    this.stepRun = shownAt.stepRun;
    this.attempt = shownAt.attempt;
  }

  /** Lines that stand at the beginning, once: an agent that was restarted finds them there. */
  beginWith(lines: readonly string[]): void {
    if (lines.length === 0 || existsSync(this.#file)) return;
    this.append(Buffer.from(lines.map((line) => `${line}\n`).join("")));
  }

  append(chunk: Uint8Array): void {
    this.#write(this.#masked.write(Buffer.from(chunk)));
  }

  /** Nothing more is printed. */
  end(): void {
    this.#write(this.#masked.end());
  }

  #write(chunk: Buffer): void {
    if (chunk.length === 0) return;
    if (!this.#begun) mkdirSync(dirname(this.#file), { recursive: true, mode: 0o700 });
    this.#begun = true;
    appendFileSync(this.#file, chunk, { mode: 0o600 });
  }

  async read(offset: number, maxBytes: number): Promise<Buffer> {
    const file = await open(this.#file, "r").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return null;
      throw error;
    });
    if (file === null) return Buffer.alloc(0);
    try {
      const buffer = Buffer.allocUnsafe(Math.min(maxBytes, Math.max(0, (await file.stat()).size - offset)));
      const { bytesRead } = await file.read(buffer, 0, buffer.length, offset);
      return buffer.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  }
}
