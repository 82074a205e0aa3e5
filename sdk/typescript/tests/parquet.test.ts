import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";

/** Two rows as hyparquet-writer wrote them: numbers, texts and a boolean, with columns that only one of them has. */
const FILE =
  "UEFSMRUGFRAVFFwVBBUAFQQVABUAFQAAAAgcAQAAAAIAAAAVBhUOFRJcFQQVAhUEFQAVBBUAAAADAQUQAQAAAHgVBhUGFQpcFQQVAhUEFQAVBBUAAAADAQEAARUGFRQVGFwVBBUCFQQVABUEFQAAAAMBCBwAAAAAAAD4PxUGFRQVGFwVBBUCFQQVABUEFQAAAAMCCBwEAAAAb25seRUEGWxIBHJvb3QVCgAVAiUAGAFhABUMJQIYAWIlAAAVACUCGAFjABUKJQIYAWQAFQwlAhgBZSUAABYEGRwZXCYIHBUCGRUAGRgBYRUCFgQWOhY+Jgg8NgAoBAIAAAAYBAEAAAAAGRwVBhUAFQIAAAAmRhwVDBkVABkYAWIVAhYEFjgWPCZGPDYCKAF4GAF4ABkcFQYVABUCAAAAJoIBHBUAGRUAGRgBYxUCFgQWMBY0JoIBPDYCKAEBGAEBABkcFQYVABUCAAAAJrYBHBUKGRUAGRgBZBUCFgQWPhZCJrYBPDYCKAgAAAAAAAD4PxgIAAAAAAAA+D82AAAZHBUGFQAVAgAAACb4ARwVDBkVABkYAWUVAhYEFj4WQib4ATw2AigEb25seRgEb25seQAZHBUGFQAVAgAAABaeAhYENrICACgJaHlwYXJxdWV0GVwcAAAcAAAcAAAcAAAcAAAAXgEAAFBBUjE=";
const HYPARQUET = resolve(import.meta.dirname, "../../../node_modules/hyparquet");

let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), "berth-sdk-parquet-"));
  writeFileSync(join(folder, "rows.parquet"), Buffer.from(FILE, "base64"));
  writeFileSync(join(folder, "steps.mjs"), "export const f = ({ rows }) => rows;\n");
});
after(() => rmSync(folder, { recursive: true, force: true }));

function run(output: string) {
  const invocation = {
    ...{ module: "steps.mjs", function: "f", values: {} },
    inputs: [{ name: "rows", type: "parquet", path: join(folder, "rows.parquet") }],
    outputs: [{ name: "out", type: output, path: join(folder, "out") }],
  };
  return spawnSync(process.execPath, [join(import.meta.dirname, "../run-step.js")], {
    cwd: folder,
    encoding: "utf8",
    env: { PATH: process.env.PATH, BERTH_INVOCATION: JSON.stringify(invocation) },
  });
}

test("parquet is read by the package that the step brings along, and without it the step says which", () => {
  const without = run("json");
  assert.equal(without.status, 1);
  assert.match(without.stderr, /to read parquet the step needs the package hyparquet: .*npm install hyparquet/);
  mkdirSync(join(folder, "node_modules"));
  symlinkSync(HYPARQUET, join(folder, "node_modules/hyparquet"));
  const read = run("json");
  assert.equal(read.status, 0, read.stderr);
  assert.deepEqual(JSON.parse(readFileSync(join(folder, "out"), "utf8")), [
    { a: 1, b: "x", c: true, d: 1.5, e: null },
    { a: 2, b: null, c: null, d: null, e: "only" },
  ]);
  const unwritable = run("parquet");
  assert.match(unwritable.stderr, /to write parquet the step needs the package hyparquet-writer/);
});
