import assert from "node:assert/strict";
import { test } from "node:test";
import { matchesGlob } from "./glob.ts";

const CASES: [pattern: string, path: string, matches: boolean][] = [
  ["a.txt", "a.txt", true],
  ["a.txt", "b/a.txt", false],
  ["*.txt", "a.txt", true],
  ["*.txt", "a/b.txt", false],
  ["**/*.txt", "a.txt", true],
  ["**/*.txt", "a/b/c.txt", true],
  ["a/**", "a/b/c", true],
  ["a/**/d", "a/d", true],
  ["a/**/d", "a/b/c/d", true],
  ["a/**/d", "a/b/c", false],
  ["?.txt", "ä.txt", true],
  ["[a-c]x", "bx", true],
  ["[!a-c]x", "bx", false],
  ["[]]", "]", true],
  ["a[", "a[", true],
  ["\\*", "*", true],
  ["\\*", "x", false],
  ["a.c", "abc", false],
];
for (const [pattern, path, matches] of CASES) {
  test(`${JSON.stringify(pattern)} ${matches ? "matches" : "does not match"} ${JSON.stringify(path)}`, () => {
    assert.equal(matchesGlob(pattern, path), matches);
  });
}

test("a pattern made to backtrack does not hang", () => {
  const startedAt = performance.now();
  assert.equal(matchesGlob(`${"*a".repeat(60)}b`, "a".repeat(250)), false);
  assert.equal(matchesGlob(`${"**/a/".repeat(60)}b`, "a/".repeat(250)), false);
  assert.ok(performance.now() - startedAt < 500);
});
