import { createHash } from "node:crypto";
import { pipeline, type Readable, Transform } from "node:stream";
import { BerthError } from "../../protocol/errors.ts";

/** Passes on what is handed in, and fails unless it is exactly the blob that was announced. */
export async function* announcedBytes(
  digest: string,
  size: number,
  bytes: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const hash = createHash("sha256");
  let seen = 0;
  for await (const chunk of bytes) {
    seen += chunk.length;
    if (seen > size) throw mismatch(`more than the ${size} bytes announced`);
    hash.update(chunk);
    yield chunk;
  }
  if (seen !== size) throw mismatch(`${seen} bytes, not the ${size} announced`);
  const actual = hash.digest("hex");
  if (actual !== digest) throw mismatch(`bytes with the SHA-256 ${actual}, not ${digest}`);
}

function mismatch(what: string): BerthError {
  return new BerthError("digest_mismatch", `The upload held ${what}; nothing was stored.`, {
    advice: "Send the same file again; if this repeats, it changed since it was hashed.",
  });
}

/**
 * What a store holds, checked on the way out. The last piece is held back until the whole is known to be right, so that
 * nobody ever receives all of a damaged blob.
 */
export function storedBytes(digest: string, source: Readable): Readable {
  const hash = createHash("sha256");
  let held: Uint8Array | null = null;
  const check = new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      hash.update(chunk);
      const ready = held;
      held = chunk;
      if (ready === null) done();
      else done(null, ready);
    },
    flush(done) {
      if (hash.digest("hex") !== digest) done(damaged(digest));
      else if (held === null) done();
      else done(null, held);
    },
  });
  // Each end's failure closes the other; whoever reads `check` hears of it there.
  pipeline(source, check, () => {});
  return check;
}

export function damaged(digest: string): Error {
  return new Error(`the bytes stored for blob ${digest} are not its own: the store is damaged`);
}
