import { zstdCompressSync } from "node:zlib";

const BLOCK_BYTES = 512;

/** A header as an attacker writes it: every field may be anything. */
export interface CraftedEntry {
  readonly name: string | Buffer;
  /** The type flag; default `0`, a file. */
  readonly type?: string;
  readonly target?: string;
  readonly body?: string | Buffer;
  /** In place of the body's size, as the field stands. */
  readonly sizeField?: Buffer | string;
  readonly mode?: string;
  readonly checksum?: string;
  readonly magic?: string;
  readonly prefix?: string;
}

export function craftEntry(entry: CraftedEntry): Buffer {
  const body = Buffer.from(entry.body ?? "");
  const block = Buffer.alloc(BLOCK_BYTES);
  Buffer.from(entry.name).copy(block, 0, 0, 100);
  block.write(entry.mode ?? "0000644", 100);
  block.write("0000000", 108);
  block.write("0000000", 116);
  Buffer.from(entry.sizeField ?? body.length.toString(8).padStart(11, "0")).copy(block, 124, 0, 12);
  block.write("00000000000", 136);
  block.write(" ".repeat(8), 148);
  block.write(entry.type ?? "0", 156, "latin1");
  Buffer.from(entry.target ?? "").copy(block, 157, 0, 100);
  block.write(entry.magic ?? "ustar\u000000", 257);
  block.write(entry.prefix ?? "", 345);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(entry.checksum ?? `${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return Buffer.concat([block, body, Buffer.alloc((BLOCK_BYTES - (body.length % BLOCK_BYTES)) % BLOCK_BYTES)]);
}

/** `records` as they stand, with their own idea of their lengths. */
export function craftPax(records: string, type = "x"): Buffer {
  return craftEntry({ name: "pax", type, body: records });
}

export function paxRecord(key: string, value: string): string {
  const rest = Buffer.byteLength(` ${key}=${value}\n`);
  let length = rest + 1;
  while (String(length).length + rest !== length) length = String(length).length + rest;
  return `${length} ${key}=${value}\n`;
}

export function craftTar(...parts: readonly Uint8Array[]): Buffer {
  return zstdCompressSync(Buffer.concat([...parts, Buffer.alloc(2 * BLOCK_BYTES)]));
}
