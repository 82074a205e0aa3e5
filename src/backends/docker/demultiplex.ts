import type { Readable, Writable } from "node:stream";

/** What the engine puts before each piece: the stream's number, three zero bytes, and the length. */
const HEADER_BYTES = 8;
const STDERR = 2;

/** Tells apart the two streams that an engine sends over one connection; resolves at its end. */
export async function demultiplex(
  stream: Readable,
  { stdout, stderr }: { readonly stdout: Pick<Writable, "write">; readonly stderr: Pick<Writable, "write"> },
): Promise<void> {
  let header = Buffer.alloc(0);
  let left = 0;
  let side = stdout;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    let rest = chunk;
    while (rest.length > 0) {
      if (left === 0) {
        const more = HEADER_BYTES - header.length;
        header = Buffer.concat([header, rest.subarray(0, more)]);
        rest = rest.subarray(more);
        if (header.length < HEADER_BYTES) break;
        side = header[0] === STDERR ? stderr : stdout;
        left = header.readUInt32BE(4);
        header = Buffer.alloc(0);
      } else {
        side.write(rest.subarray(0, left));
        const taken = Math.min(left, rest.length);
        rest = rest.subarray(taken);
        left -= taken;
      }
    }
  }
}
