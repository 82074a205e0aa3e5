import { promisify } from "node:util";
import { zstdCompress, zstdCompressSync, zstdDecompress, zstdDecompressSync } from "node:zlib";

/**
 * Up to here the work itself (0.1 ms) is far less than handing it to another thread and back (0.6 ms), and steps that
 * write a line each make thousands of such chunks.
 */
const SYNC_MAX_BYTES = 64 * 1024;

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

/** The form in which a chunk of a log is stored: one zstd frame. */
export async function packLog(bytes: Buffer): Promise<Buffer> {
  return bytes.length <= SYNC_MAX_BYTES ? zstdCompressSync(bytes) : compress(bytes);
}

/** The bytes of a stored chunk, `size` of them. */
export async function unpackLog(data: Buffer, size: number): Promise<Buffer> {
  return size <= SYNC_MAX_BYTES ? zstdDecompressSync(data) : decompress(data);
}
