import { createHash } from "node:crypto";
import { createWriteStream, rmSync } from "node:fs";
import { pipeline } from "node:stream/promises";
import { CliError } from "../cli-error.ts";

/** Writes a new file; one whose bytes are not those that were stored does not stay. */
export async function writeVerified(
  bytes: AsyncIterable<Uint8Array>,
  target: string,
  { path, digest, mode }: { readonly path: string; readonly digest: string; readonly mode: number },
): Promise<void> {
  const digested = createHash("sha256");
  const file = createWriteStream(target, { flags: "wx", mode });
  try {
    await pipeline(
      bytes,
      async function* (chunks: AsyncIterable<Uint8Array>) {
        for await (const chunk of chunks) {
          digested.update(chunk);
          yield chunk;
        }
      },
      file,
    );
    if (digested.digest("hex") !== digest) throw damagedFile(path, digest);
  } catch (error) {
    // What was there before is not ours to remove.
    if (file.bytesWritten > 0 || error instanceof CliError) rmSync(target, { force: true });
    throw error;
  }
}

export function damagedFile(path: string, digest: string): CliError {
  return new CliError(`The bytes of ${path} are not those that were stored: their SHA-256 is not ${digest}.`, {
    advice: ["Try again. If it stays so, the server's store is damaged."],
  });
}
