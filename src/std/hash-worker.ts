import { createHash } from "node:crypto";
import { readSync } from "node:fs";
import { parentPort } from "node:worker_threads";

/** The other side of hash-file.ts: hashes what a descriptor, shared by all threads of the process, still has to give. */

const CHUNK_BYTES = 1024 * 1024;
const chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);

parentPort!.on("message", (fd: number) => {
  try {
    const hash = createHash("sha256");
    let size = 0;
    for (let read = readSync(fd, chunk, 0, CHUNK_BYTES, null); read > 0; ) {
      hash.update(read === CHUNK_BYTES ? chunk : chunk.subarray(0, read));
      size += read;
      read = readSync(fd, chunk, 0, CHUNK_BYTES, null);
    }
    parentPort!.postMessage({ digest: hash.digest("hex"), size });
  } catch (error) {
    parentPort!.postMessage({ error });
  }
});
