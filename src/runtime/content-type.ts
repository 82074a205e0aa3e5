import { extname } from "node:path";

/** What a folder artifact is served as: its bytes are the manifest. */
export const FOLDER_CONTENT_TYPE = "application/vnd.berth.folder+json";

const BY_EXTENSION: Readonly<Record<string, string>> = {
  ".avro": "application/avro",
  ".bmp": "image/bmp",
  ".bz2": "application/x-bzip2",
  ".csv": "text/csv",
  ".gif": "image/gif",
  ".gz": "application/gzip",
  ".htm": "text/html",
  ".html": "text/html",
  ".ipynb": "application/x-ipynb+json",
  ".jpeg": "image/jpeg",
  ".jpg": "image/jpeg",
  ".json": "application/json",
  ".jsonl": "application/jsonl",
  ".log": "text/plain",
  ".md": "text/markdown",
  ".mp3": "audio/mpeg",
  ".mp4": "video/mp4",
  ".ndjson": "application/jsonl",
  ".npy": "application/x-npy",
  ".parquet": "application/vnd.apache.parquet",
  ".pdf": "application/pdf",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".tar": "application/x-tar",
  ".tsv": "text/tab-separated-values",
  ".txt": "text/plain",
  ".wav": "audio/wav",
  ".webp": "image/webp",
  ".xml": "application/xml",
  ".yaml": "application/yaml",
  ".yml": "application/yaml",
  ".zip": "application/zip",
  ".zst": "application/zstd",
};

const UNKNOWN_CONTENT_TYPE = "application/octet-stream";

/**
 * How files begin of which nothing is ever run where they are shown: data, archives, pixels. Whoever wrote the bytes chose
 * them, so no kind is here that may hold a script, such as HTML, SVG or PDF: that has to be said, by an extension or a type.
 */
const BY_BEGINNING: readonly (readonly [offset: number, beginning: Buffer, contentType: string])[] = [
  [0, Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), "image/png"],
  [0, Buffer.from("\xff\xd8\xff", "latin1"), "image/jpeg"],
  [0, Buffer.from("GIF87a"), "image/gif"],
  [0, Buffer.from("GIF89a"), "image/gif"],
  [8, Buffer.from("WEBP"), "image/webp"],
  [0, Buffer.from("PAR1"), "application/vnd.apache.parquet"],
  [0, Buffer.from("ARROW1\0\0"), "application/vnd.apache.arrow.file"],
  [0, Buffer.from("Obj\x01", "latin1"), "application/avro"],
  [0, Buffer.from("\x93NUMPY", "latin1"), "application/x-npy"],
  [0, Buffer.from("\x89HDF\r\n\x1a\n", "latin1"), "application/x-hdf5"],
  [0, Buffer.from("SQLite format 3\0"), "application/vnd.sqlite3"],
  [0, Buffer.from("PK\x03\x04", "latin1"), "application/zip"],
  [0, Buffer.from("\x1f\x8b\x08", "latin1"), "application/gzip"],
  [0, Buffer.from("\x28\xb5\x2f\xfd", "latin1"), "application/zstd"],
  [0, Buffer.from("\xfd7zXZ\0", "latin1"), "application/x-xz"],
];

/** Bytes that `contentTypeOf` looks at, where the name says nothing. */
export const BEGINNING_BYTES = 16;

/**
 * The content type that a file's extension stands for. Of a name that says nothing, `beginning` reads the first bytes:
 * downloads are sent as attachments that no browser guesses about, so a wrong guess makes nothing run.
 */
export function contentTypeOf(fileName: string, beginning: () => Buffer): string {
  const known = BY_EXTENSION[extname(fileName).toLowerCase()];
  if (known !== undefined) return known;
  const bytes = beginning();
  const found = BY_BEGINNING.find(([offset, begins]) => bytes.subarray(offset, offset + begins.length).equals(begins));
  return found?.[2] ?? UNKNOWN_CONTENT_TYPE;
}
