import { z } from "zod";

/** What can be seen of an artifact without downloading it: bounded in bytes read, in time and in what is answered. */

export const PREVIEW_ROWS_DEFAULT = 20;
export const PREVIEW_ROWS_MAX = 200;
export const PREVIEW_COLUMNS_MAX = 200;
/** Of a cell of a table, and of a text inside JSON. */
export const PREVIEW_CELL_MAX_CHARS = 500;
export const PREVIEW_TEXT_MAX_CHARS = 16 * 1024;

const Cell = z.union([z.string(), z.number(), z.boolean(), z.null()]);

export const PreviewContent = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("table"),
    format: z.enum(["csv", "tsv", "parquet"]),
    columns: z.array(z.object({ name: z.string(), type: z.string().nullable() })),
    rows: z.array(z.array(Cell)),
    /** Null where that would take reading all of it. */
    totalRows: z.int().nullable(),
    totalColumns: z.int(),
  }),
  z.object({
    kind: z.literal("json"),
    format: z.enum(["json", "jsonl"]),
    /** Of JSON lines, the first of them as a list. Long lists, texts and objects are cut. */
    value: z.unknown(),
  }),
  z.object({ kind: z.literal("text"), text: z.string() }),
  /** Nothing is decoded or drawn: the size is what the file says. */
  z.object({
    kind: z.literal("image"),
    format: z.enum(["png", "jpeg", "gif", "webp", "svg"]),
    width: z.number().nullable(),
    height: z.number().nullable(),
  }),
  z.object({
    kind: z.literal("folder"),
    entries: z.array(
      z.object({
        path: z.string(),
        kind: z.enum(["file", "folder", "link"]),
        size: z.int().nullable(),
        target: z.string().nullable(),
      }),
    ),
    total: z.int(),
    next: z.string().nullable(),
  }),
  /** NumPy: one array, or those of an archive. */
  z.object({
    kind: z.literal("arrays"),
    format: z.enum(["npy", "npz"]),
    arrays: z.array(
      z.object({ name: z.string(), dtype: z.string(), shape: z.array(z.number()), fortranOrder: z.boolean() }),
    ),
    total: z.int(),
  }),
  z.object({
    kind: z.literal("binary"),
    /** What the first bytes say it is. */
    type: z.string().nullable(),
    /** The first bytes, in hexadecimal. */
    start: z.string(),
  }),
  /** It cannot be previewed. */
  z.object({ kind: z.literal("none"), why: z.string() }),
]);
export type PreviewContent = z.infer<typeof PreviewContent>;

export const Preview = z.object({
  /** `wine/score/scores/4?item=7` */
  artifact: z.string(),
  /** The file of a folder. */
  path: z.string().nullable(),
  fileName: z.string(),
  contentType: z.string(),
  size: z.int(),
  content: PreviewContent,
  /** Whether there is more than is shown. */
  truncated: z.boolean(),
  /** Why it is shown as something else than it is named. */
  note: z.string().nullable(),
});
export type Preview = z.infer<typeof Preview>;
