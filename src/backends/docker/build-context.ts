import { hash } from "node:crypto";
import { createReadStream, type Dirent, existsSync } from "node:fs";
import { lstat, readdir, readlink } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { type Header, type Pack, pack } from "tar-stream";

export interface BuildContext {
  readonly tar: Readable;
  /** The name of the Dockerfile inside. */
  readonly dockerfile: string;
}

const IGNORE_FILE = ".dockerignore";

/**
 * A folder as the classic builder wants it, with the Dockerfile beside it. Everything in the folder is sent: what is not to
 * be in an image is not to be put there. Owners are those of root, since numbers mean nothing elsewhere.
 *
 * The builder takes the Dockerfile out again where an ignore file names it. A folder that brings an ignore file of its own
 * is sent as it is; there the Dockerfile is copied by a `COPY .`, always under the same name, or nothing would be cached.
 */
export function buildContext(folder: string, dockerfile: string): BuildContext {
  const tar = pack();
  const name = `.berth-${hash("sha256", dockerfile).slice(0, 16)}.Dockerfile`;
  tar.entry({ name, mode: 0o644 }, dockerfile);
  if (!existsSync(join(folder, IGNORE_FILE))) {
    tar.entry({ name: IGNORE_FILE, mode: 0o644 }, `${name}\n${IGNORE_FILE}\n`);
  }
  addFolder(tar, folder, "").then(
    () => tar.finalize(),
    (error) => tar.destroy(error),
  );
  return { tar: Readable.from(tar), dockerfile: name };
}

async function addFolder(tar: Pack, folder: string, inside: string): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true });
  // Sorted, so that an unchanged folder is an unchanged archive, which the builder's cache recognises.
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    await addEntry(tar, entry, join(folder, entry.name), `${inside}${entry.name}`);
  }
}

async function addEntry(tar: Pack, entry: Dirent, path: string, name: string): Promise<void> {
  const { mode, mtime, size } = await lstat(path);
  const header = { name, mode: mode & 0o7777, mtime, uid: 0, gid: 0 };
  if (entry.isDirectory()) {
    await add(tar, { ...header, type: "directory" });
    await addFolder(tar, path, `${name}/`);
  } else if (entry.isSymbolicLink()) {
    await add(tar, { ...header, type: "symlink", linkname: await readlink(path) });
  } else if (entry.isFile()) {
    // No more than the announced size: a file that grows meanwhile must not break the archive.
    const content = size === 0 ? null : createReadStream(path, { end: size - 1 });
    await add(tar, { ...header, type: "file", size }, content);
  } else {
    throw new Error(`${path} is neither file, folder nor link; a build context can hold nothing else.`);
  }
}

type EntryHeader = Partial<Header> & { readonly name: string };

async function add(tar: Pack, header: EntryHeader, content: Readable | null = null): Promise<void> {
  if (content !== null) return pipeline(content, tar.entry(header));
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  tar.entry(header, "", (error) => (error ? reject(error) : resolve()));
  return promise;
}
