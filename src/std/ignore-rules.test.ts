import assert from "node:assert/strict";
import { test } from "node:test";
import { IgnoreRules } from "./ignore-rules.ts";

test("in a folder's rules a bare name matches at any depth, and one with a slash only from the root", () => {
  const rules = new IgnoreRules("# comment\n*.log\n/data\nbuild/out\n");
  assert.equal(rules.ignores("a/b.log", false), true);
  assert.equal(rules.ignores("data", true), true);
  assert.equal(rules.ignores("a/data", true), false);
  assert.equal(rules.ignores("build/out", true), true);
  assert.equal(rules.ignores("a/build/out", true), false);
});

test("a trailing slash matches folders alone, and the last matching rule decides", () => {
  const rules = new IgnoreRules("cache/\n*.csv\n!keep.csv");
  assert.equal(rules.ignores("cache", true), true);
  assert.equal(rules.ignores("cache", false), false);
  assert.equal(rules.ignores("x.csv", false), true);
  assert.equal(rules.ignores("keep.csv", false), false);
});
