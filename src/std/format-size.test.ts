import assert from "node:assert/strict";
import { test } from "node:test";
import { formatSize } from "./format-size.ts";

test("sizes use binary units", () => {
  assert.deepEqual([0, 512, 1434, 12 * 1024 ** 2, 3 * 1024 ** 4].map(formatSize), [
    "0 B",
    "512 B",
    "1.4 KiB",
    "12.0 MiB",
    "3.0 TiB",
  ]);
});
