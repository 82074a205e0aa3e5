import assert from "node:assert/strict";
import { hash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { MemoryBackend } from "../backends/memory/memory-backend.ts";
import type { Content, ManifestEntry } from "../protocol/artifacts.ts";
import { HOSTILE_BYTES, hostileManifests } from "../protocol/testing/hostile-manifests.ts";
import type { AttemptWork, StagedInput } from "./attempt-work.ts";
import { collectOutputs } from "./collect-outputs.ts";
import { InputInvalidError } from "./input-invalid-error.ts";
import { stageInputs } from "./stage-inputs.ts";
import { LIMITS, type RuntimeFixture, runtimeFixture } from "./testing/runtime-fixture.ts";

const never = new AbortController().signal;

function fixtureOf(readOnlyInputs: boolean): Promise<RuntimeFixture<MemoryBackend>> {
  return runtimeFixture(new MemoryBackend({ capabilities: { readOnlyInputs } }));
}

/** Stages these inputs into a fresh attempt folder, and returns its `in`. */
async function stage(fixture: RuntimeFixture<MemoryBackend>, ...inputs: StagedInput[]): Promise<string> {
  const work: AttemptWork = fixture.work({ inputs });
  mkdirSync(join(work.spec.folder, "in"), { recursive: true });
  await stageInputs(fixture.context, work, never);
  return join(work.spec.folder, "in");
}

/** A folder artifact made of what `make` leaves in a folder. */
async function folderContent(fixture: RuntimeFixture<MemoryBackend>, make: (folder: string) => void): Promise<Content> {
  const attempt = join(fixture.root, "producer");
  mkdirSync(join(attempt, "out", "folder"), { recursive: true });
  make(join(attempt, "out", "folder"));
  const declared = { folder: { path: "folder", type: "folder", optional: false, when: "success" } } as const;
  const { cache } = fixture.context;
  const { outputs, faults } = await collectOutputs(attempt, declared, { cache, limits: LIMITS, signal: never });
  assert.deepEqual(faults, []);
  return outputs.folder!;
}

async function manifestContent(fixture: RuntimeFixture<MemoryBackend>, text: string): Promise<Content> {
  return { ...(await fixture.store(text, "forged")), kind: "folder" };
}

const inode = (path: string) => lstatSync(path).ino;

test("where steps cannot write to their inputs, a file of any size is staged as a hard link", async () => {
  await using fixture = await fixtureOf(true);
  const content = await fixture.store("1,2\n");
  const folder = await stage(fixture, { kind: "content", name: "table", content });
  assert.equal(inode(join(folder, "table")), inode(fixture.cache.find(content.digest, 4)!));
});

test("where they could, the cache stays out of their reach", async () => {
  await using fixture = await fixtureOf(false);
  const content = await fixture.store("1,2\n");
  const folder = await stage(fixture, { kind: "content", name: "table", content });
  chmodSync(join(folder, "table"), 0o644);
  writeFileSync(join(folder, "table"), "overwritten");
  assert.equal(readFileSync(fixture.cache.find(content.digest, 4)!, "utf8"), "1,2\n");
});

for (const readOnlyInputs of [true, false]) {
  test(`a folder comes back as it was made (read-only inputs: ${readOnlyInputs})`, async () => {
    await using fixture = await fixtureOf(readOnlyInputs);
    const content = await folderContent(fixture, (folder) => {
      mkdirSync(join(folder, "ünï", "empty"), { recursive: true });
      writeFileSync(join(folder, "ünï", "a"), "same");
      writeFileSync(join(folder, "b"), "same");
      writeFileSync(join(folder, "run"), "same", { mode: 0o755 });
      symlinkSync("ünï/a", join(folder, "link"));
    });
    const folder = join(await stage(fixture, { kind: "content", name: "set", content }), "set");
    const names = (readdirSync(folder, { recursive: true }) as string[]).sort();
    assert.deepEqual(names, ["b", "link", "run", "ünï", "ünï/a", "ünï/empty"]);
    assert.equal(readFileSync(join(folder, "link"), "utf8"), "same");
    assert.equal(readlinkSync(join(folder, "link")), "ünï/a");
    assert.equal(lstatSync(join(folder, "b")).mode & 0o777, 0o444);
    assert.equal(lstatSync(join(folder, "run")).mode & 0o777, 0o555);
  });
}

test("what is gathered as a folder has one entry per item, with the extension of its file", async () => {
  await using fixture = await fixtureOf(true);
  const items = [
    { key: "model=a/b", content: await fixture.store("1", "model.json") },
    { key: "000001", content: await fixture.store("2", "plot") },
    { key: "..", content: await fixture.store("3", "x.csv") },
    { key: "set", content: await folderContent(fixture, (folder) => writeFileSync(join(folder, "file.txt"), "4")) },
  ];
  const folder = await stage(fixture, { kind: "gathered", name: "all", gather: "folder", items });
  const names = (readdirSync(join(folder, "all"), { recursive: true }) as string[]).sort();
  assert.deepEqual(names, ["%2e..csv", "000001", "model=a%2fb.json", "set", "set/file.txt"]);
});

const JOINED: ["lines" | "csv" | "json", string[], string][] = [
  ["lines", ["a\nb", "c\n"], "a\nb\nc\n"],
  ["csv", ["x,y\n1,2", "x,y\n3,4\n"], "x,y\n1,2\n3,4\n"],
  ["json", ["1", '{"a": 2}\n'], '[1,\n{"a": 2}\n]\n'],
];
for (const [format, texts, joined] of JOINED) {
  test(`what is gathered as ${format} is one file, in item order`, async () => {
    await using fixture = await fixtureOf(true);
    const items = await Promise.all(
      texts.map(async (text, key) => ({ key: String(key), content: await fixture.store(text) })),
    );
    const folder = await stage(fixture, { kind: "gathered", name: "all", gather: format, items });
    assert.equal(readFileSync(join(folder, "all"), "utf8"), joined);
    assert.equal(lstatSync(join(folder, "all")).mode & 0o777, 0o444);
  });
}

test("outputs that cannot be joined are an invalid input, which names them", async () => {
  await using fixture = await fixtureOf(true);
  const items = [
    { key: "0", content: await fixture.store("a,b\n1,2\n") },
    { key: "1", content: await fixture.store("a,c\n1,2\n") },
  ];
  const staging = stage(fixture, { kind: "gathered", name: "all", gather: "csv", items });
  await assert.rejects(
    staging,
    (error) => error instanceof InputInvalidError && /input all .*item 1/.test(error.message),
  );
});

test("an item of a batch gets its bytes between what makes them a file", async () => {
  await using fixture = await fixtureOf(true);
  const content = await fixture.store("h\n1\n2\n3\n");
  const slice = { kind: "bytes", prefix: "h\n", start: 4, end: 6, suffix: "" } as const;
  const folder = await stage(fixture, { kind: "batch-item", name: "batch", content, slice });
  assert.equal(readFileSync(join(folder, "batch"), "utf8"), "h\n2\n");
});

test("an item of a batch over files gets a folder with its files alone", async () => {
  await using fixture = await fixtureOf(true);
  const content = await folderContent(fixture, (folder) => {
    mkdirSync(join(folder, "a"));
    for (const name of ["a/1", "a/2", "3"]) writeFileSync(join(folder, name), name);
  });
  const slice = { kind: "files", paths: ["a/2"] } as const;
  const folder = await stage(fixture, { kind: "batch-item", name: "batch", content, slice });
  assert.deepEqual((readdirSync(join(folder, "batch"), { recursive: true }) as string[]).sort(), ["a", "a/2"]);
});

// Manifests made to do harm, as a worker could upload them.

const digest = hash("sha256", "evil");
const file = (path: string): ManifestEntry => ({ kind: "file", path, mode: 0o644, size: 4, digest });
const link = (path: string, target: string): ManifestEntry => ({ kind: "link", path, target });
const folder = (path: string): ManifestEntry => ({ kind: "folder", path, mode: 0o755 });

const FORGED: Record<string, ManifestEntry[] | string> = {
  "a file outside": [file("../canary")],
  "a file far outside": [file("../../../canary")],
  "an absolute file": [file("/tmp/berth-forged")],
  "a folder outside": [folder("../evil")],
  "a link outside": [link("x", "../../canary")],
  "an absolute link": [link("x", "/etc")],
  "a file through a link": [link("x", ".."), file("x/canary")],
  "a file through an inner link": [folder("d"), link("x", "d"), file("x/canary")],
  "a link over a file": [file("x"), link("x", ".")],
  "the same file twice": [file("x"), file("x")],
  "a file below a file": [file("x"), file("x/y")],
  "a link through a link": [folder("d"), link("d/up", ".."), link("x", "d/up/..")],
  "an empty path": [file("")],
  "a path with NUL": [file("a\0b")],
  "no JSON": "oops",
  "another schema": '{"schema":2,"entries":[]}',
  "a digest that is a path":
    '{"schema":1,"entries":[{"kind":"file","path":"x","mode":420,"size":4,"digest":"../../canary"}]}',
};
for (const [name, forged] of Object.entries(FORGED)) {
  test(`a manifest with ${name} is an invalid input, and writes nothing outside`, async () => {
    await using fixture = await fixtureOf(true);
    await fixture.store("evil");
    writeFileSync(join(fixture.root, "canary"), "untouched");
    const text = typeof forged === "string" ? forged : JSON.stringify({ schema: 1, entries: forged });
    const content = await manifestContent(fixture, text);
    await assert.rejects(stage(fixture, { kind: "content", name: "set", content }), InputInvalidError);
    assert.equal(readFileSync(join(fixture.root, "canary"), "utf8"), "untouched");
    assert.deepEqual(readdirSync(join(fixture.root, "attempt")), ["in"]);
    assert.deepEqual(readdirSync(join(fixture.root, "attempt", "in")), ["set"]);
    assert.equal(existsSync("/tmp/berth-forged"), false);
  });
}

for (const [what, entries] of hostileManifests()) {
  test(`a manifest with ${what} writes nothing outside`, async () => {
    await using fixture = await fixtureOf(false);
    await fixture.store(HOSTILE_BYTES);
    writeFileSync(join(fixture.root, "canary"), "untouched");
    const content = await manifestContent(fixture, JSON.stringify({ schema: 1, entries }));
    await assert.rejects(stage(fixture, { kind: "content", name: "set", content }), InputInvalidError);
    assert.equal(readFileSync(join(fixture.root, "canary"), "utf8"), "untouched");
    assert.deepEqual(readdirSync(join(fixture.root, "attempt")), ["in"]);
    assert.deepEqual(readdirSync(join(fixture.root, "attempt", "in")), ["set"]);
  });
}
