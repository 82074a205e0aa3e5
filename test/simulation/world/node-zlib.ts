import zlib from "node:zlib";
import { later } from "./virtual-time.ts";

/** Stands for the module, but for what waits or differs from run to run. */
export * from "node:zlib";

type Done = (error: Error | null, result?: Buffer) => void;

export function zstdCompress(bytes: Buffer, ...rest: readonly unknown[]): void {
  const options = rest.length > 1 ? (rest[0] as zlib.ZstdOptions) : {};
  finish(rest.at(-1) as Done, () => zlib.zstdCompressSync(bytes, options));
}

export function zstdDecompress(bytes: Buffer, ...rest: readonly unknown[]): void {
  const options = rest.length > 1 ? (rest[0] as zlib.ZstdOptions) : {};
  finish(rest.at(-1) as Done, () => zlib.zstdDecompressSync(bytes, options));
}

function finish(done: Done, work: () => Buffer): void {
  later(() => {
    let result: Buffer;
    try {
      result = work();
    } catch (error) {
      done(error as Error);
      return;
    }
    done(null, result);
  });
}
