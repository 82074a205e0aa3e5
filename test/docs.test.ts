import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { test } from "node:test";

const root = resolve(import.meta.dirname, "..");
const pages = [
  ...readdirSync(root).filter((file) => file.endsWith(".md")),
  ...readdirSync(join(root, "docs")).flatMap((file) => (file.endsWith(".md") ? join("docs", file) : [])),
];

/** Titles of tests are written with other quotes or a template where they hold quotes or vary. */
function holdsTitle(file: string, title: string): boolean {
  return readFileSync(file, "utf8").includes(title);
}

for (const page of pages) {
  test(`every link of ${page} leads somewhere`, () => {
    const text = readFileSync(join(root, page), "utf8").replace(/^```.*?^```/gms, "");
    const targets = [...text.matchAll(/\]\(([^)#\s]+)[^)]*\)/g)].map((match) => match[1]!);
    const missing = targets.filter(
      (target) => !/^[a-z]+:/.test(target) && !existsSync(resolve(root, dirname(page), target)),
    );
    assert.deepEqual(missing, []);
  });
}

test("every test that docs/guarantees.md names is there", () => {
  const text = readFileSync(join(root, "docs/guarantees.md"), "utf8");
  const named = [...text.matchAll(/\]\(\.\.\/(\S+\.test\.ts)\) "([^"]+)"/g)];
  assert.ok(named.length > 20);
  const missing = named.filter(([, file, title]) => !holdsTitle(join(root, file!), title!));
  assert.deepEqual(
    missing.map(([, file, title]) => `${file}: ${title}`),
    [],
  );
});
