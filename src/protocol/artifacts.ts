import { z } from "zod";
import { Digest, Name } from "./names.ts";
import { OutputNotes } from "./output-notes.ts";

/** One file of a folder artifact. Paths are relative, `/`-separated, normalised, and never leave the folder. */
export const ManifestEntry = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("file"), path: z.string(), mode: z.int(), size: z.int().nonnegative(), digest: Digest }),
  z.object({ kind: z.literal("folder"), path: z.string(), mode: z.int() }),
  /** A relative link whose target stays inside the folder. */
  z.object({ kind: z.literal("link"), path: z.string(), target: z.string() }),
]);
export type ManifestEntry = z.infer<typeof ManifestEntry>;

/**
 * The largest manifest, of some 400,000 files. Beyond this a folder would better be one archive file: its manifest alone
 * would fill the memory of its readers.
 */
export const MANIFEST_MAX_BYTES = 64 * 1024 * 1024;

/** The bytes of a folder artifact: canonical JSON, entries sorted by path, itself a blob with a digest. */
export const FolderManifest = z.object({ schema: z.literal(1), entries: z.array(ManifestEntry) });
export type FolderManifest = z.infer<typeof FolderManifest>;

/** An artifact's content, wherever it lies: for a folder, `digest` is that of the manifest and `size` the sum. */
export const Content = z.object({
  kind: z.enum(["file", "folder"]),
  digest: Digest,
  size: z.int().nonnegative(),
  /** The file name that a consumer sees (the base name of the output's path). */
  fileName: z.string(),
  contentType: z.string(),
  fileCount: z.int().nonnegative(),
});
export type Content = z.infer<typeof Content>;

/** Bytes of blobs up to this size may travel inside the event that commits them, saving a request each. */
export const INLINE_BLOB_MAX_BYTES = 16 * 1024;

/** An output that an attempt hands in. */
export const ProducedOutput = z.object({
  name: Name,
  content: Content,
  /** Base64 of the blob, at most INLINE_BLOB_MAX_BYTES; absent when it was uploaded before. */
  inline: z
    .string()
    .max(24 * 1024)
    .optional(),
  ...OutputNotes.shape,
});
export type ProducedOutput = z.infer<typeof ProducedOutput>;

/** What an attempt read, for lineage: the step run and output that each input name came from. */
export const ConsumedInput = z.object({ name: Name, stepRun: z.string(), artifact: Name, digest: Digest });
export type ConsumedInput = z.infer<typeof ConsumedInput>;
