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

/** The content type that a file's extension stands for; never guessed from its bytes, which a step controls. */
export function contentTypeOf(fileName: string): string {
  return BY_EXTENSION[extname(fileName).toLowerCase()] ?? "application/octet-stream";
}
