import { ensureGoProgram } from "./go-program.ts";

/** A real S3 server of others, in Go: multipart uploads, presigned requests, ranges, checksums, policies. */
const VERSITYGW = { name: "versitygw", module: "github.com/versity/versitygw/cmd/versitygw", version: "v1.8.0" };

export function ensureS3Program(): Promise<string> {
  return ensureGoProgram(VERSITYGW);
}
