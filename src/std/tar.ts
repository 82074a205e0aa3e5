import { ByteReader } from "./byte-reader.ts";

/**
 * The part of tar (POSIX ustar with pax paths) that holds plain folder trees: files, folders, symbolic links. Equal
 * trees give equal bytes, since owners and times are left out. The reader takes what the writer makes and refuses the
 * rest: an archive is untrusted, and every further feature of the format is a further way to be fooled.
 */
export type TarEntry =
  | { readonly kind: "file"; readonly path: string; readonly executable: boolean; readonly size: number }
  | { readonly kind: "folder"; readonly path: string }
  | { readonly kind: "link"; readonly path: string; readonly target: string };

export class TarFormatError extends Error {
  override readonly name = "TarFormatError";
}

const BLOCK_BYTES = 512;
const NAME_MAX_BYTES = 100;
/** A pax header holds a path and a link target, each at most 4096 bytes on any system. */
const PAX_MAX_BYTES = 16 * 1024;
/** What fits in the size field. */
const FILE_MAX_BYTES = 0o77777777777;

/** Two blocks of zeros. */
export const TAR_END: Uint8Array = Buffer.alloc(2 * BLOCK_BYTES);

/** Zeros between a file's end and the next block. */
export function tarPadding(size: number): Uint8Array {
  return Buffer.alloc((BLOCK_BYTES - (size % BLOCK_BYTES)) % BLOCK_BYTES);
}

/** The bytes before an entry's content. */
export function tarHeader(entry: TarEntry): Buffer {
  const target = entry.kind === "link" ? entry.target : "";
  const isLong = Buffer.byteLength(entry.path) > NAME_MAX_BYTES || Buffer.byteLength(target) > NAME_MAX_BYTES;
  const header = headerBlock({
    name: isLong ? "long" : entry.path,
    target: isLong && target !== "" ? "long" : target,
    mode: entry.kind === "file" && !entry.executable ? 0o644 : 0o755,
    size: entry.kind === "file" ? entry.size : 0,
    type: { file: "0", folder: "5", link: "2" }[entry.kind],
  });
  return isLong ? Buffer.concat([paxHeader(entry.path, target), header]) : header;
}

interface Header {
  readonly name: string;
  readonly target: string;
  readonly mode: number;
  readonly size: number;
  readonly type: string;
}

function headerBlock({ name, target, mode, size, type }: Header): Buffer {
  if (size > FILE_MAX_BYTES) throw new TarFormatError(`${name} is too large for a tar entry`);
  const block = Buffer.alloc(BLOCK_BYTES);
  block.write(name, 0);
  block.write(octal(mode, 7), 100);
  block.write(octal(0, 7), 108);
  block.write(octal(0, 7), 116);
  block.write(octal(size, 11), 124);
  block.write(octal(0, 11), 136);
  block.write(" ".repeat(8), 148);
  block.write(type, 156);
  block.write(target, 157);
  block.write("ustar\u000000", 257);
  block.write(`${octal(checksum(block), 6)}\0 `, 148);
  return block;
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, "0");
}

function checksum(block: Uint8Array): number {
  return block.reduce((sum, byte) => sum + byte, 0);
}

function paxHeader(path: string, target: string): Buffer {
  const records = [paxRecord("path", path), target === "" ? "" : paxRecord("linkpath", target)].join("");
  const body = Buffer.from(records);
  const header = headerBlock({ name: "pax", target: "", mode: 0o644, size: body.length, type: "x" });
  return Buffer.concat([header, body, tarPadding(body.length)]);
}

/** `<length> <key>=<value>\n`, where the length counts its own digits too. */
function paxRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  const bytes = Buffer.byteLength(rest);
  let length = bytes + String(bytes).length;
  if (bytes + String(length).length !== length) length = bytes + String(length).length;
  return `${length}${rest}`;
}

/**
 * The entries of an archive, in its order. The body of a file has to be read before the next entry is asked for; what
 * is left of it is skipped.
 */
export async function* readTar(
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<{ readonly entry: TarEntry; readonly body: AsyncIterable<Uint8Array> }> {
  const reader = new ByteReader(chunks);
  let pax = new Map<string, string>();
  for (;;) {
    const block = await reader.read(BLOCK_BYTES);
    if (block.length === BLOCK_BYTES && block.every((byte) => byte === 0)) return;
    const header = parseHeader(block);
    if (header.type === "x") {
      pax = await readPax(reader, header.size);
      continue;
    }
    const entry = entryOf(header, pax);
    pax = new Map();
    const body = countedBody(reader, header.size);
    yield { entry, body: body.bytes() };
    await body.skipRest();
  }
}

function parseHeader(block: Buffer): Header {
  if (block.length < BLOCK_BYTES) throw new TarFormatError("The archive ends in the middle");
  if (block.toString("latin1", 257, 262) !== "ustar") throw new TarFormatError("The archive is no ustar archive");
  const sum = parseOctal(block, 148, 8);
  if (checksum(block) - checksum(block.subarray(148, 156)) + 8 * 32 !== sum) {
    throw new TarFormatError("The archive is damaged: a header's checksum is wrong");
  }
  if (block[345] !== 0) throw new TarFormatError("The archive uses name prefixes, which Berth does not write");
  return {
    name: text(block.subarray(0, 100)),
    target: text(block.subarray(157, 257)),
    mode: parseOctal(block, 100, 8),
    size: parseOctal(block, 124, 12),
    type: String.fromCharCode(block[156]!),
  };
}

function parseOctal(block: Buffer, start: number, length: number): number {
  const digits = block.toString("latin1", start, start + length).replace(/[\0 ]+$/, "");
  if (!/^[0-7]{1,11}$/.test(digits)) throw new TarFormatError("The archive is damaged: a number of a header is none");
  return Number.parseInt(digits, 8);
}

function text(field: Uint8Array): string {
  const end = field.indexOf(0);
  return utf8(end < 0 ? field : field.subarray(0, end));
}

function utf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw new TarFormatError("The archive holds a name that is not UTF-8", { cause: error });
  }
}

async function readPax(reader: ByteReader, size: number): Promise<Map<string, string>> {
  if (size > PAX_MAX_BYTES) throw new TarFormatError(`The archive has a pax header larger than ${PAX_MAX_BYTES} bytes`);
  const bytes = await reader.read(size);
  await reader.read(tarPadding(size).length);
  const records = new Map<string, string>();
  for (let at = 0; at < bytes.length; ) {
    const match = /^(\d{1,5}) (path|linkpath)=/.exec(bytes.toString("latin1", at, at + 20));
    const end = at + Number(match?.[1] ?? 0);
    if (match === null || end > bytes.length || end <= at + match[0].length || bytes[end - 1] !== 0x0a) {
      throw new TarFormatError("The archive has a pax record that Berth does not write");
    }
    records.set(match[2]!, utf8(bytes.subarray(at + match[0].length, end - 1)));
    at = end;
  }
  return records;
}

function entryOf(header: Header, pax: ReadonlyMap<string, string>): TarEntry {
  const path = (pax.get("path") ?? header.name).replace(/\/$/, "");
  if (header.type === "0" || header.type === "\0") {
    return { kind: "file", path, executable: (header.mode & 0o100) !== 0, size: header.size };
  }
  if (header.size !== 0)
    throw new TarFormatError(`The archive entry ${JSON.stringify(path)} has a content but is no file`);
  if (header.type === "5") return { kind: "folder", path };
  if (header.type === "2") return { kind: "link", path, target: pax.get("linkpath") ?? header.target };
  const message = `The archive entry ${JSON.stringify(path)} is neither a file, a folder nor a symbolic link`;
  throw new TarFormatError(message);
}

function countedBody(reader: ByteReader, size: number) {
  let left = size;
  async function* bytes(): AsyncGenerator<Uint8Array> {
    for await (const part of reader.stream(left)) {
      left -= part.length;
      yield part;
    }
    if (left > 0) throw new TarFormatError("The archive ends in the middle of a file");
  }
  async function skipRest(): Promise<void> {
    for await (const _ of bytes());
    await reader.read(tarPadding(size).length);
  }
  return { bytes, skipRest };
}
