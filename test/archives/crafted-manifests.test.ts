import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { ApiClient } from "../../src/cli/api/client.ts";
import { fetchFolder } from "../../src/cli/artifacts/fetch-folder.ts";
import { CliError } from "../../src/cli/cli-error.ts";
import type { Content, ManifestEntry } from "../../src/protocol/artifacts.ts";
import { FolderManifest } from "../../src/protocol/artifacts.ts";
import { BerthError } from "../../src/protocol/errors.ts";
import type { ArtifactVersion } from "../../src/protocol/resources.ts";
import type { BlobSource } from "../../src/runtime/attempt-work.ts";
import { InputInvalidError } from "../../src/runtime/input-invalid-error.ts";
import { stageContent } from "../../src/runtime/stage-content.ts";
import { readManifest } from "../../src/server/scheduling/folder-manifest.ts";
import { removeTree } from "../../src/std/remove-tree.ts";
import { UnsafeEntryError } from "../../src/std/tree-writer.ts";
import { COLLISIONS, HOSTILE_PATHS, HOSTILE_TARGETS, OUTSIDE } from "./hostile-names.ts";
import { Sandbox } from "./sandbox.ts";

const folder = mkdtempSync(join(tmpdir(), "berth-manifests-"));
after(() => removeTree(folder));

const BODY = "x";
const DIGEST = createHash("sha256").update(BODY).digest("hex");
const file = (path: string): ManifestEntry => ({ kind: "file", path, mode: 0o644, size: 1, digest: DIGEST });
const link = (path: string, target: string): ManifestEntry => ({ kind: "link", path, target });
const dir = (path: string): ManifestEntry => ({ kind: "folder", path, mode: 0o755 });

interface Hostile {
  readonly what: string;
  readonly entries: readonly ManifestEntry[];
}

function* hostile(outside: string): Generator<Hostile> {
  for (const [what, path] of Object.entries(HOSTILE_PATHS)) {
    const name = path.replace(OUTSIDE, outside);
    for (const entry of [file(name), dir(name), link(name, "safe")])
      yield { what: `a ${entry.kind} with ${what}`, entries: [entry] };
  }
  for (const [what, path] of Object.entries(HOSTILE_TARGETS)) {
    const out = link("link", path.replace(OUTSIDE, outside));
    yield { what: `a link to ${what}`, entries: [out] };
    for (const then of [file("link/new"), dir("link/new"), link("link/new", "x"), file("link"), dir("link")]) {
      yield { what: `a link to ${what}, then a ${then.kind} ${then.path}`, entries: [out, then] };
      yield { what: `a ${then.kind} ${then.path}, then a link to ${what}`, entries: [then, out] };
    }
  }
  yield {
    what: "a link that leaves through another",
    entries: [dir("d/e"), link("up", "d/e"), link("out", "up/../../..")],
  };
  for (const [first, second] of COLLISIONS) {
    for (const left of [file(first), dir(first), link(first, "x")]) {
      for (const right of [file(second), dir(second), link(second, "x")]) {
        yield {
          what: `${left.kind} ${JSON.stringify(first)} and ${right.kind} ${JSON.stringify(second)}`,
          entries: [left, right],
        };
      }
    }
  }
  yield { what: "a file below a file", entries: [file("a"), file("a/b")] };
  yield { what: "rights beyond those of files", entries: [{ ...file("a"), mode: 0o106_777 } as ManifestEntry] };
}

function contentOf(manifest: string, entries: readonly ManifestEntry[]): Content {
  const files = entries.filter(({ kind }) => kind === "file").length;
  const digest = createHash("sha256").update(manifest).digest("hex");
  return { kind: "folder", digest, size: files, fileName: "out", contentType: "inode/directory", fileCount: files };
}

/** The cache of a worker that has the manifest and the one blob that all files are. */
function cacheWith(manifest: string): BlobSource {
  writeFileSync(join(folder, "manifest"), manifest);
  writeFileSync(join(folder, "blob"), BODY);
  return {
    ensure: async (digest) => join(folder, digest === DIGEST ? "blob" : "manifest"),
    prefetch: async () => {},
    adopt: async () => assert.fail("nothing is adopted"),
  };
}

const stage = (manifest: string, entries: readonly ManifestEntry[]) => (target: string) =>
  stageContent(
    { cache: cacheWith(manifest), share: false, signal: new AbortController().signal },
    contentOf(manifest, entries),
    target,
  );

test("an agent places hostile folder artifacts inside or not at all, and a server commits none of what leads outside", async (t) => {
  await using sandbox = new Sandbox();
  let [count, refusals] = [0, 0];
  for (const { what, entries } of hostile(sandbox.outside)) {
    const manifest = JSON.stringify({ entries, schema: 1 });
    let committed = true;
    try {
      readManifest(contentOf(manifest, entries), Buffer.from(manifest));
    } catch (error) {
      assert.ok(error instanceof BerthError && error.code === "invalid_request", `${what}: ${(error as Error).stack}`);
      committed = false;
    }
    const refused = await sandbox.judge(what, stage(manifest, entries), (error) => error instanceof InputInvalidError);
    // What only the file system of one machine cannot tell apart is for that machine to refuse.
    assert.ok(!refused || !committed || what.includes(" and "), `${what} was committed, and no agent can use it`);
    count += 1;
    if (refused) refusals += 1;
  }
  t.diagnostic(`${count} manifests, ${refusals} of them refused by the agent`);
  assert.ok(count >= 300 && refusals > 200 && refusals < count, `${refusals} of ${count} refused`);
});

test("a download of a hostile folder artifact writes inside or not at all", async (t) => {
  await using sandbox = new Sandbox();
  let files = 0;
  const server = createServer((_, response) => response.end(BODY.repeat(files)));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close().closeAllConnections());
  const api = new ApiClient(() => ({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, token: "t" }));
  const artifact = { pipeline: "p", step: "s", name: "n", version: 1, item: "" } as ArtifactVersion;
  let refusals = 0;
  for (const { what, entries } of hostile(sandbox.outside)) {
    files = entries.filter(({ kind }) => kind === "file").length;
    const order = { api, artifact, selection: { entries, leftOut: [] }, under: null };
    const isRefusal = (error: unknown) => error instanceof UnsafeEntryError || error instanceof CliError;
    if (await sandbox.judge(what, (target) => fetchFolder(order, target), isRefusal)) refusals += 1;
  }
  assert.ok(refusals > 200, `${refusals} were refused`);
});

test("a manifest that is no manifest is refused by everybody who reads one", async () => {
  await using sandbox = new Sandbox();
  const damaged = [
    ...["", "{", "null", "[]", '"x"', "1e999", "\ufeff{}", '{"schema":2,"entries":[]}', '{"schema":1}'],
    ...['{"schema":1,"entries":{}}', '{"schema":1,"entries":[null]}', '{"schema":1,"entries":[{"kind":"device"}]}'],
    `{"schema":1,"entries":${"[".repeat(5_000)}${"]".repeat(5_000)}}`,
    JSON.stringify({ schema: 1, entries: [{ ...file("a"), size: -1 }] }),
    JSON.stringify({ schema: 1, entries: [{ ...file("a"), size: 0.5 }] }),
    JSON.stringify({ schema: 1, entries: [{ ...file("a"), digest: "../../victim" }] }),
    JSON.stringify({ schema: 1, entries: [{ ...file("a"), path: ["a"] }] }),
    JSON.stringify({ schema: 1, entries: [{ ...file("a"), mode: "rwx" }] }),
    JSON.stringify({ schema: 1, entries: [{ kind: "hardlink", path: "a", target: "b" }] }),
  ];
  for (const manifest of damaged) {
    const what = manifest.slice(0, 60);
    assert.throws(
      () => readManifest(contentOf(manifest, []), Buffer.from(manifest)),
      { code: "invalid_request" },
      what,
    );
    assert.throws(() => FolderManifest.parse(JSON.parse(manifest)), what);
    const refused = await sandbox.judge(what, stage(manifest, []), (error) => error instanceof InputInvalidError);
    assert.ok(refused, what);
  }
});
