import assert from "node:assert/strict";
import { hash, randomBytes } from "node:crypto";
import { type TestContext, test } from "node:test";
import { runServer, started, submit, succeeded, takeRun } from "../../../test/setup/run-fixture.ts";
import { type TestServerOptions, testWorker } from "../../../test/setup/server.ts";
import type { Content, ManifestEntry } from "../../protocol/artifacts.ts";

const PIPELINE = `
name: site
environment: { image: busybox }
steps:
  make: { run: x, outputs: { pages: { path: pages, type: folder }, note: note } }
`;

/** A run whose step made a folder of these files. */
async function folderOf(t: TestContext, files: Readonly<Record<string, Buffer>>, options: TestServerOptions = {}) {
  const server = await runServer(t, options);
  const worker = await testWorker(server);
  const run = await submit(server, { pipeline: PIPELINE });
  const entries: ManifestEntry[] = Object.entries(files).map(([path, bytes]) => {
    return { kind: "file", path, mode: 0o644, size: bytes.length, digest: hash("sha256", bytes) };
  });
  const manifest = Buffer.from(JSON.stringify({ schema: 1, entries }));
  const note = Buffer.from("note");
  for (const bytes of [...Object.values(files), manifest, note]) {
    await server.services.blobs.put(server.project, hash("sha256", bytes), bytes.length, bytes);
  }
  const content = (kind: Content["kind"], name: string, bytes: Buffer, size: number, fileCount: number) => ({
    name,
    content: { kind, digest: hash("sha256", bytes), size, fileName: name, contentType: "text/plain", fileCount },
  });
  const size = Object.values(files).reduce((sum, bytes) => sum + bytes.length, 0);
  const outputs = [
    content("folder", "pages", manifest, size, entries.length),
    content("file", "note", note, note.length, 1),
  ];
  const taken = await takeRun(worker);
  const reported = await taken.report(
    { type: "run.started", backend: "process" },
    started("make"),
    succeeded("make", outputs),
    { type: "run.finished", state: "succeeded", fault: null },
  );
  assert.equal(reported.statusCode, 200, reported.body);
  const get = (query = "", name = "pages") =>
    server.call("viewer", { url: `/artifacts/site/make/${name}/latest/files${query}` });
  return { server, run, get };
}

const FILES = {
  "a/1": Buffer.from("one"),
  "a/2": Buffer.alloc(0),
  "a/large": randomBytes(300 * 1024),
  "a/same": Buffer.from("one"),
  "ab/3": Buffer.from("three"),
  b: Buffer.from("bee"),
};
const joined = (...paths: (keyof typeof FILES)[]) => Buffer.concat(paths.map((path) => FILES[path]));

test("the files of a folder come in one answer, in the order of the manifest: small, large, empty and equal ones", async (t) => {
  const { get } = await folderOf(t, FILES);
  const all = await get();
  assert.equal(all.statusCode, 200);
  assert.ok(all.rawPayload.equals(joined("a/1", "a/2", "a/large", "a/same", "ab/3", "b")));
  assert.equal(all.headers["content-disposition"], "attachment");
});

test("one folder of it, one file, and what is left after the first ones", async (t) => {
  const { get } = await folderOf(t, FILES);
  assert.ok((await get("?under=a")).rawPayload.equals(joined("a/1", "a/2", "a/large", "a/same")));
  assert.ok((await get("?under=a&skip=3")).rawPayload.equals(joined("a/same")));
  assert.equal((await get("?under=b")).body, "bee");
  assert.equal((await get("?skip=5")).body, "bee");
  assert.equal((await get("?skip=600")).body, "");
  assert.equal((await get("?under=none")).body, "");
  assert.equal((await get("?skip=-1")).statusCode, 400);
});

test("thousands of files come in order", async (t) => {
  const files = Object.fromEntries(
    Array.from({ length: 5_000 }, (_, index) => [`f${String(index).padStart(5, "0")}`, Buffer.from(`${index};`)]),
  );
  const { get } = await folderOf(t, files);
  assert.ok((await get()).rawPayload.equals(Buffer.concat(Object.values(files))));
});

test("a file artifact is taken for a folder that has nothing else", async (t) => {
  const { get } = await folderOf(t, FILES);
  assert.equal((await get("", "note")).body, "note");
});

test("bytes that are damaged in the store end the answer early, and are never sent", async (t) => {
  const { server, get } = await folderOf(t, FILES);
  const digest = hash("sha256", FILES["ab/3"]);
  await server.services.database.pool.query("UPDATE blob_bytes SET data = 'wrong' WHERE digest = $1", [digest]);
  const answer = await get("?under=ab").catch((error: Error) => error);
  assert.ok(answer instanceof Error || !answer.body.includes("wrong"), "the damaged bytes were sent");
});

test("manifests are read one after another: of the largest, each takes some hundred megabytes", async (t) => {
  const { server, get } = await folderOf(t, FILES);
  const { blobs } = server.services;
  const open = blobs.open.bind(blobs);
  let [now, most] = [0, 0];
  blobs.open = async (...args) => {
    most = Math.max(most, ++now);
    await new Promise((resolve) => setTimeout(resolve, 20));
    now--;
    return await open(...args);
  };
  const answers = await Promise.all(Array.from({ length: 8 }, () => get("?under=none")));
  assert.deepEqual(new Set(answers.map(({ statusCode }) => statusCode)), new Set([200]));
  assert.equal(most, 2);
  const content = (path: string) =>
    server.call("viewer", { url: `/artifacts/site/make/pages/latest/content?path=${encodeURIComponent(path)}` });
  assert.equal((await content("ab/3")).body, "three");
  assert.equal((await content("ab")).statusCode, 404);
});

test("who waits for a manifest when the server stops is told to try again", async (t) => {
  const stop = new AbortController();
  const { server, get } = await folderOf(t, FILES, { stop: stop.signal });
  const { blobs } = server.services;
  const open = blobs.open.bind(blobs);
  const stopped = Promise.withResolvers<void>();
  let reading = 0;
  blobs.open = async (...args) => {
    if (++reading === 2) setTimeout(() => stop.abort(), 50);
    await stopped.promise;
    return await open(...args);
  };
  stop.signal.addEventListener("abort", () => setImmediate(stopped.resolve));
  const answers = await Promise.all([get("?under=none"), get("?under=none"), get("?under=none")]);
  const codes = answers.map(({ statusCode }) => statusCode);
  assert.deepEqual(
    codes.toSorted((a, b) => a - b),
    [200, 200, 503],
  );
});
