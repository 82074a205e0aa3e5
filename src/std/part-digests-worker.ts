import { createHash } from "node:crypto";
import { closeSync, constants, openSync, readSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";
import type { PartAnswer } from "./part-digests.ts";

/** The other side of part-digests.ts: reads on by one part for each message. */

const CHUNK_BYTES = 1024 * 1024;
const chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);
const { path, partBytes } = workerData as { readonly path: string; readonly partBytes: number };

const whole = createHash("sha256");
let fd: number | null = null;
let offset = 0;
let number = 0;

parentPort!.on("message", () => {
  try {
    answer(nextPart());
  } catch (error) {
    answer({ error });
  }
});

function answer(message: PartAnswer): void {
  parentPort!.postMessage(message);
}

function nextPart(): PartAnswer {
  fd ??= openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  const start = offset;
  const md5 = createHash("md5");
  while (offset - start < partBytes) {
    const read = readSync(fd, chunk, 0, Math.min(CHUNK_BYTES, partBytes - (offset - start)), null);
    if (read === 0) break;
    const bytes = chunk.subarray(0, read);
    md5.update(bytes);
    whole.update(bytes);
    offset += read;
  }
  if (offset > start || number === 0) {
    number += 1;
    return { part: { number, start, size: offset - start, md5: md5.digest("base64") } };
  }
  closeSync(fd);
  return { digest: whole.digest("hex"), size: offset };
}
