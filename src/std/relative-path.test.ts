import assert from "node:assert/strict";
import { test } from "node:test";
import { linkProblem, relativePathProblem } from "./relative-path.ts";

const REFUSED = [
  "",
  "/",
  "/etc/passwd",
  "..",
  "../x",
  "a/../b",
  "a//b",
  "a/",
  "./a",
  "a/.",
  "a\0b",
  "a\\..\\b",
  "x".repeat(256),
];
for (const path of [...REFUSED, "a/".repeat(101).slice(0, -1), "é".repeat(128), `${"a".repeat(200)}/`.repeat(11)]) {
  test(`the path ${JSON.stringify(path.slice(0, 20))} is refused`, () => {
    assert.notEqual(relativePathProblem(path), null);
  });
}

for (const path of ["a", "a/b.txt", "..a", "a..", "...", "ü/ü", "a b", "-rf", "a\nb"]) {
  test(`the path ${JSON.stringify(path)} is fine`, () => {
    assert.equal(relativePathProblem(path), null);
  });
}

test("links may point anywhere inside, and nowhere else", () => {
  const noLinks = () => false;
  assert.equal(linkProblem("a/b", "c", noLinks), null);
  assert.equal(linkProblem("a/b", "../c", noLinks), null);
  assert.equal(linkProblem("a/b", "./x/../../c", noLinks), null);
  for (const target of ["", "/etc/passwd", "../../x", "..//../x", "a/../../../x", "x\0", "a\\b"]) {
    assert.notEqual(linkProblem("a/b", target, noLinks), null, target);
  }
});

test("a link through another link is refused, since its text does not tell where it leads", () => {
  const isLink = (path: string) => path === "deep/up";
  assert.notEqual(linkProblem("out", "deep/up/..", isLink), null);
  assert.equal(linkProblem("out", "deep/up", isLink), null);
});
