import assert from "node:assert/strict";
import { test } from "node:test";
import { buildHint } from "./build-hint.ts";

/** What installers were seen to say, and what it means. */
const WORDS: [string, RegExp][] = [
  ["ERROR: No matching distribution found for nosuch==9", /no Python package nosuch==9 at the index that was asked$/],
  [
    "Looking in indexes: https://a.example/simple, https://b.example/simple\nERROR: No matching distribution found for nosuch",
    /no Python package nosuch at https:\/\/a\.example\/simple, https:\/\/b\.example\/simple$/,
  ],
  [
    "ERROR: Could not find a version that satisfies the requirement zod==9 (from versions: 1.0, 1.1, 2.0, 3.0)\nERROR: No matching distribution found for zod==9",
    /no such version of the Python package zod==9 at .*; it has 1\.1, 2\.0, 3\.0 and 1 older ones$/,
  ],
  [
    "ERROR: Could not find a version that satisfies the requirement nosuch (from versions: none)\nERROR: No matching distribution found for nosuch",
    /no Python package nosuch at/,
  ],
  [
    "ERROR: Ignored the following versions that require a different python version: 2.0 Requires-Python >=3.13\nERROR: Could not find a version that satisfies the requirement ours==2.0 (from versions: 1.0)",
    /Python package ours==2\.0 need another Python than the base image has \(2\.0 Requires-Python >=3\.13\)$/,
  ],
  [
    "npm ERR! 404 Not Found - GET https://registry.example/npm/nosuch-package - Not found",
    /no Node package nosuch-package at https:\/\/registry\.example$/,
  ],
  ["npm error 404 Not Found - GET https://registry.example/@acme%2fours", /no Node package @acme\/ours at/],
  ["npm ERR! notarget No matching version found for zod@99.", /no Node package zod@99 at the index that was asked$/],
  ['error Couldn\'t find any versions for "zod" that matches "99"', /no Node package zod at/],
  ["E: Unable to locate package nosuch", /no Debian package nosuch in the sources of the base image$/],
  ["E: Version '9' for 'jq' was not found", /no version of the Debian package jq in/],
  [" ERR_PNPM_OUTDATED_LOCKFILE  Cannot install with frozen-lockfile", /lock file does not fit/],
  [
    'failed to compute cache key: "/data/nosuch.csv" not found: not found',
    /no data\/nosuch\.csv in the build context$/,
  ],
  ['failed to calculate checksum of ref abc::def: "/nosuch.csv": not found', /no nosuch\.csv in the build context$/],
  [
    "COPY failed: file not found in build context or excluded by .dockerignore: stat nosuch.csv: file does not exist",
    /no nosuch\.csv in the build context$/,
  ],
  ["/bin/sh: 1: python3: not found", /base image has no python3$/],
  ["/usr/bin/python3: No module named pip", /base image has no pip$/],
  ["npm ERR! code EAI_AGAIN", /could not reach a registry/],
  [
    "WARNING: 401 Error, Credentials not correct for https://a.example/simple/x/\nERROR: No matching distribution found for x",
    /did not accept who asked/,
  ],
  ["➤ YN0041: │ @acme/ours@npm:1.0.0: Invalid authentication (as an unknown user)", /did not accept who asked/],
  [
    "ERROR: No matching distribution found for x\nCould not fetch URL https://a.example/simple/x/: 401 Client Error: Unauthorized for url: https://a.example/simple/x/ - skipping",
    /did not accept who asked/,
  ],
  ["npm error code E401\nnpm error Incorrect or missing password.", /did not accept who asked/],
  [" ERR_PNPM_FETCH_403  GET https://a.example/x: Forbidden - 403", /did not accept who asked/],
  ["Err:1 https://a.example ./ Packages\n  401  Unauthorized [IP: 10.0.0.1 443]", /did not accept who asked/],
];

for (const [words, meaning] of WORDS) {
  test(`"${words.split("\n").at(-1)}" is told with a way out`, () => {
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
