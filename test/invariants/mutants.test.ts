import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { MUTANTS, mutate } from "./mutants.ts";

/** `npm run break-invariants` runs them; here it is only seen that it still could. */

const root = resolve(import.meta.dirname, "../..");
const read = (file: string) => readFileSync(join(root, file), "utf8");

test("every invariant of ARCHITECTURE.md is broken by a mutant at least", () => {
  const [, section] = read("ARCHITECTURE.md").split("## Invariants\n");
  const numbers = [...section!.split("\n## ")[0]!.matchAll(/^(\d+)\. /gm)].map(([, number]) => Number(number));
  assert.ok(numbers.length > 5);
  assert.deepEqual([...new Set(MUTANTS.map(({ invariant }) => invariant))], numbers);
});

for (const mutant of MUTANTS) {
  test(`there is code to change, and a test to fail, so that Berth ${mutant.does}`, () => {
    const text = read(mutant.file);
    assert.notEqual(mutate(mutant, text), text);
    const [file, title] = mutant.test;
    assert.ok(read(file).includes(`test("${title}"`), `${file} has no test "${title}"`);
  });
}

test("a change that does not apply any more is an error", () => {
  const [mutant] = MUTANTS;
  assert.throws(() => mutate(mutant!, "something else"), /0 times, not once/);
  assert.throws(() => mutate(mutant!, `${mutant!.find} ${mutant!.find}`), /2 times, not once/);
});
