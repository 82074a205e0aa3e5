import { z } from "zod";
import { FolderManifest } from "../../protocol/artifacts.ts";
import type { PreviewContent } from "../../protocol/preview.ts";
import { type BoundedReader, PreviewLimit } from "./bounded-reader.ts";

type Folder = Extract<PreviewContent, { kind: "folder" }>;

/** Some hundred thousand files. */
export const MANIFEST_READ_MAX_BYTES = 32 * 1024 * 1024;

export async function manifestEntries(reader: BoundedReader): Promise<FolderManifest["entries"]> {
  if (reader.size > MANIFEST_READ_MAX_BYTES) {
    throw new PreviewLimit(`its manifest has ${reader.size} bytes, more than a preview reads`);
  }
  const bytes = await reader.read(0, reader.size);
  try {
    return FolderManifest.parse(JSON.parse(bytes.toString("utf8"))).entries;
  } catch {
    // What was committed was one; parts of a blob are read without being held against its digest.
    throw new PreviewLimit("its manifest is damaged in the store");
  }
}

/** One page of what is in a folder, in the order of its manifest. */
export function folderPage(entries: FolderManifest["entries"], start: number, limit: number): Folder {
  const page = entries.slice(start, start + limit).map((entry) => ({
    path: entry.path,
    kind: entry.kind,
    size: entry.kind === "file" ? entry.size : null,
    target: entry.kind === "link" ? entry.target : null,
  }));
  const next = start + limit < entries.length ? String(start + limit) : null;
  return { kind: "folder", entries: page, total: entries.length, next };
}

/** Where a page begins. */
export const FolderCursor = z.coerce.number().int().min(0).max(100_000_000);
