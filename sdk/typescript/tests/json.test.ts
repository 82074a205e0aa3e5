import assert from "node:assert/strict";
import { test } from "node:test";
import { readJson, writeJson } from "../src/types/json.js";

const LARGE = 12345678901234567890n;

test("integers beyond 2⁵³ are kept, and digits within texts are left alone", () => {
  const text =
    '{"a\\"12345678901234567890":["12345678901234567890","\\\\",-12345678901234567890,1.5e3,9007199254740993]}';
  const value = readJson(text);
  assert.deepEqual(value, {
    'a"12345678901234567890': ["12345678901234567890", "\\", -LARGE, 1500, 9007199254740993n],
  });
  assert.equal(writeJson(value), text.replace("1.5e3", "1500"));
  for (const broken of ['{"a":01234567890123456789}', '["12345678901234567890', '["\\', "[12345678901234567890"]) {
    assert.throws(() => readJson(broken), SyntaxError, broken);
  }
});

test("a text of many megabytes, or of as many escapes, is read beside such an integer", () => {
  for (const long of ["x".repeat(30_000_000), "\\\n".repeat(10_000_000)]) {
    const value = readJson(`[${JSON.stringify(long)},${LARGE}]`) as unknown[];
    assert.equal(value[0] === long && value[1] === LARGE, true);
  }
});
