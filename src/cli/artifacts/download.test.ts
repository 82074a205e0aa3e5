import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import type { ManifestEntry } from "../../protocol/artifacts.ts";
import type { ArtifactVersion } from "../../protocol/resources.ts";
import { ApiClient } from "../api/client.ts";
import { downloadArtifact } from "./download.ts";
import { itemFolder } from "./item-folder.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "berth-download-"));
  mkdirSync(join(folder, "target"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const sha256 = (bytes: string) => createHash("sha256").update(bytes).digest("hex");

/** A server whose artifact consists of these bytes, by path; the empty path is the artifact's own content. */
async function serving(contents: Readonly<Record<string, string>>) {
  const server = createServer((request, response) => {
    const path = new URL(request.url!, "http://x").searchParams.get("path") ?? "";
    response.end(contents[path] ?? "");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const api = new ApiClient(() => ({ url: `http://127.0.0.1:${port}`, token: "t" }));
  return {
    api,
    [Symbol.dispose]: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

function artifact(more: Partial<ArtifactVersion>): ArtifactVersion {
  return {
    id: 1,
    pipeline: "wine",
    step: "report",
    name: "summary",
    version: 1,
    item: "",
    kind: "file",
    digest: "",
    size: 0,
    fileCount: 1,
    fileName: "summary.txt",
    contentType: "text/plain",
    ...{ format: null, tags: {} },
    run: { id: "run_1", number: 1 },
    stepRun: "report",
    attempt: 1,
    worker: { id: "wrk_1", name: "local" },
    createdAt: "2026-01-01T00:00:00Z",
    ...{ expiresAt: null, pinned: null, expired: null },
    ...more,
  };
}

async function downloadFolder(entries: readonly ManifestEntry[], contents: Readonly<Record<string, string>>) {
  const manifest = JSON.stringify({ schema: 1, entries });
  using server = await serving({ "": manifest, ...contents });
  const version = artifact({ kind: "folder", fileName: "model", digest: sha256(manifest) });
  return await downloadArtifact(version, { api: server.api, folder: join(folder, "target"), overwrite: false });
}

function file(path: string, content: string, mode = 0o644): ManifestEntry {
  return { kind: "file", path, mode, size: content.length, digest: sha256(content) };
}

function nothingLeft(): void {
  assert.deepEqual(readdirSync(join(folder, "target")), []);
  assert.deepEqual(readdirSync(folder), ["target"]);
}

test("a file appears under its name with the bytes that were stored", async () => {
  using server = await serving({ "": "hello" });
  const options = { api: server.api, folder: join(folder, "target"), overwrite: false };
  const path = await downloadArtifact(artifact({ digest: sha256("hello") }), options);
  assert.equal(readFileSync(path, "utf8"), "hello");
  assert.deepEqual(readdirSync(join(folder, "target")), ["summary.txt"]);
});

test("bytes that are others than those stored are refused, and nothing is left", async () => {
  using server = await serving({ "": "hellO" });
  const options = { api: server.api, folder: join(folder, "target"), overwrite: false };
  await assert.rejects(downloadArtifact(artifact({ digest: sha256("hello") }), options), /not those that were stored/);
  nothingLeft();
});

test("what is there already stays, unless it may be replaced", async () => {
  using server = await serving({ "": "new" });
  const target = join(folder, "target");
  writeFileSync(join(target, "summary.txt"), "old");
  const version = artifact({ digest: sha256("new") });
  const options = { api: server.api, folder: target, overwrite: false };
  await assert.rejects(downloadArtifact(version, options), /exists already/);
  assert.equal(readFileSync(join(target, "summary.txt"), "utf8"), "old");
  await downloadArtifact(version, { ...options, overwrite: true });
  assert.equal(readFileSync(join(target, "summary.txt"), "utf8"), "new");
});

test("a folder comes with its folders, links and executable files", async () => {
  const entries: ManifestEntry[] = [
    { kind: "folder", path: "empty", mode: 0o755 },
    file("bin/run", "#!/bin/sh\n", 0o755),
    { kind: "link", path: "latest", target: "bin/run" },
  ];
  const path = await downloadFolder(entries, { "bin/run": "#!/bin/sh\n" });
  assert.deepEqual(readdirSync(path).sort(), ["bin", "empty", "latest"]);
  assert.equal(readFileSync(join(path, "latest"), "utf8"), "#!/bin/sh\n");
  assert.notEqual(statSync(join(path, "bin/run")).mode & 0o100, 0);
});

const HOSTILE: Record<string, ManifestEntry[]> = {
  "a file above its folder": [file("../outside", "x")],
  "an absolute file": [file("/tmp/berth-outside", "x")],
  "a link out of its folder": [{ kind: "link", path: "out", target: "../../outside" }],
  "an absolute link": [{ kind: "link", path: "out", target: "/etc" }],
  "a file through a link": [{ kind: "link", path: "out", target: "elsewhere" }, file("out/file", "x")],
  "the same file twice": [file("a", "x"), file("a", "x")],
};
for (const [what, entries] of Object.entries(HOSTILE)) {
  test(`a manifest with ${what} is refused, and nothing is left`, async () => {
    const contents = Object.fromEntries(entries.map((entry) => [entry.path, "x"]));
    await assert.rejects(downloadFolder(entries, contents), { name: "UnsafeEntryError" });
    nothingLeft();
  });
}

test("a file name with a separator is refused", async () => {
  using server = await serving({ "": "x" });
  const version = artifact({ digest: sha256("x"), fileName: "../summary.txt" });
  await assert.rejects(
    downloadArtifact(version, { api: server.api, folder: join(folder, "target"), overwrite: false }),
  );
  nothingLeft();
});

test("an item's folder is one plain name, whatever the matrix held", () => {
  assert.equal(itemFolder("model=knn,depth=3"), "model=knn,depth=3");
  assert.equal(itemFolder("path=../../etc"), "path=.._.._etc");
  assert.equal(itemFolder(".."), "_");
});
