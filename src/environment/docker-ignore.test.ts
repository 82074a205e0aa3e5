import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { DockerIgnore, DockerIgnoreProblem, type FolderMatches } from "./docker-ignore.ts";

/**
 * What BuildKit's own walk (fsutil, patternmatcher 0.6.1) leaves out of one and the same folder, by ignore file: written
 * down from a run of them.
 */
interface Table {
  readonly files: readonly string[];
  readonly cases: readonly { readonly ignore: string; readonly leftOut?: readonly string[]; readonly refused?: true }[];
}

const table = JSON.parse(readFileSync(new URL("testing/docker-ignore-cases.json", import.meta.url), "utf8")) as Table;

/** As the walk of a build context asks: folder by folder, and no further below one that is left out for good. */
function leavesOut(rules: DockerIgnore, file: string): boolean {
  const names = file.split("/");
  let folder: FolderMatches | null = null;
  for (let depth = 1; depth < names.length; depth++) {
    const { ignored, matches } = rules.decide(names.slice(0, depth).join("/"), folder);
    if (ignored && !rules.mayComeBack) return true;
    folder = matches;
  }
  return rules.decide(file, folder).ignored;
}

test("every ignore file of the table leaves out what BuildKit leaves out, and is refused where BuildKit refuses it", () => {
  assert.ok(table.cases.length > 60);
  for (const { ignore, leftOut, refused } of table.cases) {
    if (refused) assert.throws(() => new DockerIgnore(ignore), DockerIgnoreProblem, JSON.stringify(ignore));
    else {
      const rules = new DockerIgnore(ignore);
      const ours = table.files.filter((file) => leavesOut(rules, file));
      assert.deepEqual(ours, leftOut, JSON.stringify(ignore));
    }
  }
});

test("what is no pattern is named with its line", () => {
  assert.throws(() => new DockerIgnore("*.md\n\nsrc/[\n"), /line 3, "src\/\[", is no pattern: its \[ \]/);
  assert.throws(() => new DockerIgnore("!\n"), /line 1 is a "!" without a pattern/);
  assert.throws(() => new DockerIgnore("a\n".repeat(1_001)), /more than 1000 rules/);
});

test("a hostile pattern takes no longer than the product of both lengths", () => {
  const rules = new DockerIgnore(`${"**/a*".repeat(60)}b\n`);
  const startedAt = performance.now();
  assert.equal(rules.decide(`${"a/a".repeat(300)}c`, null).ignored, false);
  assert.ok(performance.now() - startedAt < 2_000, `${performance.now() - startedAt} ms`);
});
