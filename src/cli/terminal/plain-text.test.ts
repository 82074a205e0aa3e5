import assert from "node:assert/strict";
import { test } from "node:test";
import { plainLines, plainText } from "./plain-text.ts";

test("escape sequences are dropped whole, text stays", () => {
  assert.equal(plainText("\u001b[1;31mred\u001b[0m and \u001b]0;title\u0007plain"), "red and plain");
});

test("single control characters become visible, and cannot act on a terminal", () => {
  assert.equal(plainText("a\rb\u0007c\u007f\u001b"), "a␍b␇c␡␛");
  assert.equal(plainText("\u009b31m"), "�31m");
});

test("characters that reorder text are shown as replacement characters", () => {
  assert.equal(plainText("user\u202etxt.exe"), "user�txt.exe");
});

test("a tab stays a tab", () => {
  assert.equal(plainText("a\tb"), "a\tb");
});

test("lines are split at each kind of line end, and the last one adds no empty line", () => {
  assert.deepEqual(plainLines("one\r\ntwo\rthree\n"), ["one", "two", "three"]);
});
