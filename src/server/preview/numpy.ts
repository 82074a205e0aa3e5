import { inflateRawSync } from "node:zlib";
import type { PreviewContent } from "../../protocol/preview.ts";
import { type BoundedReader, PreviewLimit } from "./bounded-reader.ts";

type Arrays = Extract<PreviewContent, { kind: "arrays" }>;
type ArrayFacts = Arrays["arrays"][number];

const NPY_MAGIC = "\x93NUMPY";
/** A header is some hundred bytes; structured types make longer ones. */
const HEADER_MAX_BYTES = 16 * 1024;
const ARRAYS_SHOWN_MAX = 50;
/** The end of a ZIP archive with the longest comment. */
const ZIP_END_MAX_BYTES = 22 + 65_535;
const ZIP_DIRECTORY_MAX_BYTES = 1024 * 1024;
/** What a member of HEADER_MAX_BYTES may become: more is a bomb, and no header. */
const INFLATED_MAX_BYTES = 4 * 1024 * 1024;

export function isNpy(bytes: Buffer): boolean {
  return bytes.toString("latin1", 0, 6) === NPY_MAGIC;
}

/** Type and shape of an array, as its header says; throws PreviewLimit where that is none. */
export function npyHeader(bytes: Buffer, name: string): ArrayFacts {
  const bad = (why: string) => new PreviewLimit(`the header of ${JSON.stringify(name)} ${why}`);
  if (!isNpy(bytes) || bytes.length < 12) throw bad("is not one of NumPy");
  const major = bytes[6]!;
  const [start, length] = major === 1 ? [10, bytes.readUInt16LE(8)] : [12, bytes.readUInt32LE(8)];
  if (length > HEADER_MAX_BYTES || start + length > bytes.length) throw bad("is longer than one is");
  const header = bytes.toString("latin1", start, start + length);
  const dtype = /'descr':\s*'([^']{1,100})'/.exec(header)?.[1] ?? (header.includes("'descr': [") ? "structured" : null);
  const order = /'fortran_order':\s*(True|False)/.exec(header)?.[1];
  const shape = /'shape':\s*\(([\d,\s]{0,300})\)/.exec(header)?.[1];
  if (dtype === null || order === undefined || shape === undefined) throw bad("does not say type and shape");
  const lengths = shape.split(",").flatMap((part) => (part.trim() === "" ? [] : [Number(part)]));
  if (!lengths.every(Number.isSafeInteger)) throw bad("says a shape that cannot be");
  return { name, dtype, shape: lengths, fortranOrder: order === "True" };
}

export async function npyArray(reader: BoundedReader, name: string): Promise<Arrays> {
  const header = npyHeader(await reader.read(0, HEADER_MAX_BYTES + 12), name);
  return { kind: "arrays", format: "npy", arrays: [header], total: 1 };
}

/** The arrays of an archive: its directory, and of each member as much as its header takes. */
export async function npzArrays(reader: BoundedReader): Promise<Arrays> {
  const members = await zipMembers(reader);
  const arrays: ArrayFacts[] = [];
  for (const member of members.slice(0, ARRAYS_SHOWN_MAX)) {
    arrays.push(npyHeader(await memberStart(reader, member), member.name.replace(/\.npy$/, "")));
  }
  return { kind: "arrays", format: "npz", arrays, total: members.length };
}

interface ZipMember {
  readonly name: string;
  readonly method: number;
  readonly offset: number;
  readonly compressedSize: number;
}

async function zipMembers(reader: BoundedReader): Promise<ZipMember[]> {
  const broken = (why: string) => new PreviewLimit(`its archive ${why}`);
  const tail = await reader.read(Math.max(0, reader.size - ZIP_END_MAX_BYTES), ZIP_END_MAX_BYTES);
  const end = tail.lastIndexOf("PK\x05\x06", undefined, "latin1");
  if (end < 0 || end + 22 > tail.length) throw broken("has no directory");
  const size = tail.readUInt32LE(end + 12);
  const start = tail.readUInt32LE(end + 16);
  if (size === 0xffffffff || start === 0xffffffff)
    throw broken("has more than 4 GiB, or more members than are looked at");
  if (size > ZIP_DIRECTORY_MAX_BYTES) throw broken("has a directory that is too large");
  if (start + size > reader.size) throw broken("has a directory outside of itself");
  const directory = await reader.read(start, size);
  const members: ZipMember[] = [];
  for (let at = 0; at + 46 <= directory.length && directory.readUInt32LE(at) === 0x02014b50; ) {
    const nameLength = directory.readUInt16LE(at + 28);
    const name = directory.toString("utf8", at + 46, at + 46 + nameLength);
    members.push({
      name: name.slice(0, 200),
      method: directory.readUInt16LE(at + 10),
      compressedSize: directory.readUInt32LE(at + 20),
      offset: directory.readUInt32LE(at + 42),
    });
    at += 46 + nameLength + directory.readUInt16LE(at + 30) + directory.readUInt16LE(at + 32);
  }
  return members;
}

async function memberStart(
  reader: BoundedReader,
  { name, method, offset, compressedSize }: ZipMember,
): Promise<Buffer> {
  const local = await reader.read(offset, 30);
  if (local.length < 30 || local.readUInt32LE(0) !== 0x04034b50) {
    throw new PreviewLimit(`its archive has nothing where ${JSON.stringify(name)} is to be`);
  }
  const start = offset + 30 + local.readUInt16LE(26) + local.readUInt16LE(28);
  const bytes = await reader.read(start, Math.min(compressedSize, HEADER_MAX_BYTES + 12));
  if (method === 0) return bytes;
  if (method !== 8) throw new PreviewLimit(`${JSON.stringify(name)} is compressed in a way that is not known`);
  try {
    // Z_SYNC_FLUSH: only the beginning is there.
    return inflateRawSync(bytes, { finishFlush: 2, maxOutputLength: INFLATED_MAX_BYTES });
  } catch {
    throw new PreviewLimit(`${JSON.stringify(name)} cannot be unpacked`);
  }
}
