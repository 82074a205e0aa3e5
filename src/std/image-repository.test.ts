import assert from "node:assert/strict";
import { test } from "node:test";
import { repositoryOf } from "./image-repository.ts";

test("a reference without its tag and digest is its repository, with the port of its registry", () => {
  const digest = `sha256:${"0".repeat(64)}`;
  const references = {
    busybox: "busybox",
    "python:3.12-slim": "python",
    "registry:5000/team/tool": "registry:5000/team/tool",
    "registry:5000/team/tool:1.2": "registry:5000/team/tool",
    [`registry:5000/team/tool:1.2@${digest}`]: "registry:5000/team/tool",
    [`tool@${digest}`]: "tool",
  };
  for (const [reference, repository] of Object.entries(references)) assert.equal(repositoryOf(reference), repository);
});
