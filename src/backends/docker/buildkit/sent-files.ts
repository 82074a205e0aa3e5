import { createReadStream, type Dirent } from "node:fs";
import { lstat, readdir, readlink } from "node:fs/promises";
import { join } from "node:path";

/** One entry of a folder as a builder gets it. */
export interface SentFile {
  readonly path: string;
  /** In Go's bits, which are those of the protocol. */
  readonly mode: number;
  readonly size: number;
  readonly modifiedNs: bigint;
  /** Of a link; else empty. */
  readonly target: string;
  /** Null for what has no content. */
  readonly content: (() => AsyncIterable<Buffer>) | null;
}

const GO_FOLDER = 0x8000_0000;
const GO_LINK = 0x0800_0000;
/** Those of POSIX, and where Go has them. */
const SPECIAL_BITS = [
  [0o4000, 0x0080_0000],
  [0o2000, 0x0040_0000],
  [0o1000, 0x0010_0000],
] as const;
/** Small enough for a message, large enough for the network. */
const CHUNK_BYTES = 32 * 1024;

export function textFile(path: string, text: string): SentFile {
  const bytes = Buffer.from(text);
  const content = async function* () {
    for (let at = 0; at < bytes.length; at += CHUNK_BYTES) yield bytes.subarray(at, at + CHUNK_BYTES);
  };
  return { path, mode: 0o644, size: bytes.length, modifiedNs: 0n, target: "", content };
}

/** All that is in a folder, in the order that the protocol asks for: by the bytes of the names, a folder before its own. */
export async function* filesOf(folder: string, inside = ""): AsyncGenerator<SentFile> {
  const entries = await readdir(folder, { withFileTypes: true });
  const order = (a: Dirent, b: Dirent) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name));
  for (const entry of entries.sort(order)) {
    const host = join(folder, entry.name);
    const path = `${inside}${entry.name}`;
    yield await fileAt(host, path, entry);
    if (entry.isDirectory()) yield* filesOf(host, `${path}/`);
  }
}

async function fileAt(host: string, path: string, entry: Dirent): Promise<SentFile> {
  const { mode, size, mtimeNs: modifiedNs } = await lstat(host, { bigint: true });
  const rights = goMode(Number(mode));
  const shared = { path, size: 0, modifiedNs, target: "", content: null };
  if (entry.isDirectory()) return { ...shared, mode: rights + GO_FOLDER };
  if (entry.isSymbolicLink()) return { ...shared, mode: 0o777 + GO_LINK, target: await readlink(host) };
  if (!entry.isFile())
    throw new Error(`${host} is neither file, folder nor link; a build context can hold nothing else.`);
  const length = Number(size);
  // No more than the announced size: a file that grows meanwhile must not break the build.
  const content = () => createReadStream(host, { end: length - 1, highWaterMark: CHUNK_BYTES });
  return { ...shared, mode: rights, size: length, content: length === 0 ? textFile(path, "").content : content };
}

function goMode(mode: number): number {
  return SPECIAL_BITS.reduce((bits, [posix, go]) => bits + ((mode & posix) === 0 ? 0 : go), mode & 0o777);
}
