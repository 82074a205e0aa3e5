import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { type Claim, Claims } from "./claims.ts";

const CLAIM: Claim = {
  ref: { run: "run", stepRun: "step", attempt: 1, scope: "scope" },
  folder: "/attempt",
  specHash: "a",
  argv0: "true",
  createdAtMs: 1,
};

let folder: string;
let claims: Claims;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "berth-claims-"));
  claims = new Claims(folder);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test("the first claim wins, and the second one is told who was first", () => {
  assert.equal(claims.createOrRead("name", CLAIM), CLAIM);
  assert.deepEqual(new Claims(folder).createOrRead("name", { ...CLAIM, specHash: "b" }), CLAIM);
  assert.deepEqual(claims.read("name"), CLAIM);
});

test("a claim whose writer died before it wrote is no attempt, and the next one takes it", () => {
  writeFileSync(join(folder, "attempts", "name"), "");
  assert.equal(claims.read("name"), null);
  assert.equal(claims.createOrRead("name", CLAIM), CLAIM);
  assert.deepEqual(claims.read("name"), CLAIM);
});

test("no claim is null; a folder that is gone is an error, because it says nothing", () => {
  assert.equal(claims.read("name"), null);
  rmSync(join(folder, "attempts"), { recursive: true });
  assert.throws(() => claims.read("name"), { code: "ENOENT" });
  assert.throws(() => claims.check(), { code: "ENOENT" });
});

test("removing a claim twice is fine", () => {
  claims.createOrRead("name", CLAIM);
  claims.remove("name");
  claims.remove("name");
  assert.equal(claims.read("name"), null);
});

test("a link to a claim appears once, stays when the claim goes, and says when it cannot be made", () => {
  claims.createOrRead("name", CLAIM);
  const go = join(folder, "go");
  assert.equal(claims.link("name", go), true);
  assert.equal(claims.link("name", go), true);
  claims.remove("name");
  assert.ok(existsSync(go));
  claims.createOrRead("name", CLAIM);
  assert.equal(claims.link("name", "/dev/shm/berth-claims-test"), false);
});
