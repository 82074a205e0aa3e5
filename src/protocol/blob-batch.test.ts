import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { test } from "node:test";
import { BATCHED_BLOB_MAX_BYTES, decodeBlobBatch, encodeBlobBatch } from "./blob-batch.ts";

const blob = (text: string) => ({ digest: hash("sha256", text), bytes: Buffer.from(text) });
const line = (...blobs: object[]) => `${JSON.stringify({ blobs })}\n`;

test("a batch is read back as it was written: empty blobs, line feeds and all", () => {
  const blobs = [blob("a\nb"), blob(""), blob("\n"), blob("x".repeat(100_000))];
  assert.deepEqual(decodeBlobBatch(encodeBlobBatch(blobs)), blobs);
  assert.deepEqual(decodeBlobBatch(encodeBlobBatch([])), []);
});

const { digest } = blob("x");
const WRONG: Record<string, string> = {
  nothing: "",
  "no line": '{"blobs":[]}',
  "a line that is not JSON": "oops\n",
  "fewer bytes than announced": `${line({ digest, size: 2 })}x`,
  "more bytes than announced": `${line({ digest, size: 1 })}xx`,
  "a size below nothing": `${line({ digest, size: -1 })}x`,
  "a blob that is too large": line({ digest, size: BATCHED_BLOB_MAX_BYTES + 1 }),
  "a digest that is none": `${line({ digest: "../x", size: 1 })}x`,
  "a key that nobody knows": `${line({ digest, size: 1, mode: 1 })}x`,
};
for (const [what, text] of Object.entries(WRONG)) {
  test(`a batch with ${what} is refused`, () => {
    assert.throws(() => decodeBlobBatch(Buffer.from(text)), { code: "invalid_body" });
  });
}
