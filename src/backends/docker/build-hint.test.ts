import assert from "node:assert/strict";
import { test } from "node:test";
import { buildHint } from "./build-hint.ts";

/** What installers were seen to say, and what it means. */
const WORDS: [string, RegExp][] = [
  ["ERROR: No matching distribution found for nosuch==9", /no Python package nosuch==9$/],
  [
    "npm ERR! 404 Not Found - GET https://registry.example/nosuch-package - Not found",
    /no Node package nosuch-package$/,
  ],
  ["npm ERR! notarget No matching version found for zod@99.", /no Node package zod@99$/],
  ['error Couldn\'t find any versions for "zod" that matches "99"', /no Node package zod$/],
  ["E: Unable to locate package nosuch", /no Debian package nosuch$/],
  ["E: Version '9' for 'jq' was not found", /no version of the Debian package jq$/],
  [" ERR_PNPM_OUTDATED_LOCKFILE  Cannot install with frozen-lockfile", /lock file does not fit/],
  ["/bin/sh: 1: python3: not found", /base image has no python3$/],
  ["/usr/bin/python3: No module named pip", /base image has no pip$/],
  ["npm ERR! code EAI_AGAIN", /could not reach a registry/],
];

for (const [words, meaning] of WORDS) {
  test(`"${words}" is told with a way out`, () => {
    const hint = buildHint(`Collecting things\n${words}\nmore`);
    assert.match(hint?.what ?? "", meaning);
    assert.notEqual(hint?.advice, "");
  });
}

test("without network no package is said not to exist, whatever the installer says", () => {
  for (const cause of ["Temporary failure in name resolution", "certificate verify failed: self-signed certificate"]) {
    const words = `${cause}\nERROR: No matching distribution found for numpy`;
    assert.match(buildHint(words)?.what ?? "", /could not reach a registry/);
  }
});

test("what is not known gets no hint", () => {
  assert.equal(buildHint("make: *** [all] Error 2"), null);
});
