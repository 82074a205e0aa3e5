import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { gzipSync } from "node:zlib";

const DIST = resolve(import.meta.dirname, "../../web/dist");
/** Before anything is drawn; pages come after that. */
const FIRST_PAINT_MAX_BYTES = 250 * 1024;

test("what is loaded before anything is drawn is small", () => {
  const index = readFileSync(join(DIST, "index.html"), "utf8");
  const files = [...index.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map(([, path]) => join(DIST, path!));
  assert.ok(files.length >= 2, "a script and a style");
  const bytes = files.reduce((sum, file) => sum + gzipSync(readFileSync(file)).length, 0);
  assert.ok(bytes < FIRST_PAINT_MAX_BYTES, `${bytes} bytes, compressed`);
});
