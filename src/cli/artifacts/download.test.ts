import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import type { ManifestEntry } from "../../protocol/artifacts.ts";
import type { ArtifactVersion } from "../../protocol/resources.ts";
import { HOSTILE_BYTES, hostileManifests } from "../../protocol/testing/hostile-manifests.ts";
import { entryError } from "../../std/tree-writer.ts";
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

/** Files of a folder artifact, as a server sends them. */
interface Files {
  readonly entries: readonly ManifestEntry[];
  /** By path; of what is not here, the bytes of a file that is hostile. */
  readonly contents: Readonly<Record<string, string>>;
  /** How many files each answer sends before it breaks off; the last one counts for all later answers. */
  readonly breaksAfter?: number[];
}

/** A server whose artifact consists of these bytes, by path; the empty path is the artifact's own content. */
async function serving(contents: Readonly<Record<string, string>>, files: Files = { entries: [], contents: {} }) {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url!, "http://x");
    asked.push(`${url.pathname.split("/").at(-1)}${url.search}`);
    if (!url.pathname.endsWith("/files")) return response.end(contents[url.searchParams.get("path") ?? ""] ?? "");
    const [under, skip] = [url.searchParams.get("under"), Number(url.searchParams.get("skip"))];
    const wanted = files.entries
      .filter(({ kind, path }) => kind === "file" && (under === null || path.startsWith(`${under}/`)))
      .map(({ path }) => files.contents[path] ?? HOSTILE_BYTES)
      .slice(skip);
    const breaks = files.breaksAfter?.length === 1 ? files.breaksAfter[0] : files.breaksAfter?.shift();
    if (breaks === undefined || breaks >= wanted.length) return response.end(wanted.join(""));
    response.write(wanted.slice(0, breaks).join("") || " ".slice(1), () => setTimeout(() => response.destroy(), 20));
    response.flushHeaders();
    return response;
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const api = new ApiClient(() => ({ url: `http://127.0.0.1:${port}`, token: "t" }));
  return {
    api,
    asked,
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

interface FolderTest {
  readonly part?: string;
  readonly breaksAfter?: number[];
  readonly asked?: string[];
  /** What the artifact is said to be, where that is not what its manifest says. */
  readonly said?: Partial<ArtifactVersion>;
}

async function downloadFolder(
  entries: readonly ManifestEntry[],
  contents: Readonly<Record<string, string>>,
  { part, breaksAfter, asked, said }: FolderTest = {},
) {
  const manifest = JSON.stringify({ schema: 1, entries });
  const files = { entries, contents, ...(breaksAfter === undefined ? {} : { breaksAfter }) };
  using server = await serving({ "": manifest, ...contents }, files);
  const sizes = entries.flatMap((entry) => (entry.kind === "file" ? [entry.size] : []));
  const sums = { fileCount: sizes.length, size: sizes.reduce((sum, size) => sum + size, 0) };
  const version = artifact({ kind: "folder", fileName: "model", digest: sha256(manifest), ...sums, ...said });
  const options = { api: server.api, folder: join(folder, "target"), overwrite: false, part: part ?? null };
  try {
    return await downloadArtifact(version, options);
  } finally {
    asked?.push(...server.asked);
  }
}

function file(path: string, content: string, mode = 0o644): ManifestEntry {
  return { kind: "file", path, mode, size: Buffer.byteLength(content), digest: sha256(content) };
}

function nothingLeft(): void {
  assert.deepEqual(readdirSync(join(folder, "target")), []);
  assert.deepEqual(readdirSync(folder), ["target"]);
}

test("a file appears under its name with the bytes that were stored", async () => {
  using server = await serving({ "": "hello" });
  const options = { api: server.api, folder: join(folder, "target"), overwrite: false };
  const { path } = await downloadArtifact(artifact({ digest: sha256("hello") }), options);
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
  const { path } = await downloadFolder(entries, { "bin/run": "#!/bin/sh\n" });
  assert.deepEqual(readdirSync(path).sort(), ["bin", "empty", "latest"]);
  assert.equal(readFileSync(join(path, "latest"), "utf8"), "#!/bin/sh\n");
  assert.notEqual(statSync(join(path, "bin/run")).mode & 0o100, 0);
});

for (const [what, entries] of hostileManifests()) {
  test(`a manifest with ${what} is refused, and nothing is left`, async () => {
    writeFileSync(join(folder, "canary"), "untouched");
    await assert.rejects(downloadFolder(entries, {}), { name: "UnsafeEntryError" });
    assert.equal(readFileSync(join(folder, "canary"), "utf8"), "untouched");
    rmSync(join(folder, "canary"));
    nothingLeft();
    assert.equal(existsSync("/tmp/berth-forged"), false);
  });
}

test("names that are odd and harmless are kept as they are: controls, line feeds, both cases, both Unicode forms", async () => {
  const names = ["line\nfeed", "\u001b[2Jclear", "Icon\r", "a", "A", "caf\u00e9", "cafe\u0301", "...", "-rf", " ", "~"];
  const entries = [...names.map((name) => file(name, name)), { kind: "link", path: "loop", target: "loop" } as const];
  const { path } = await downloadFolder(entries, Object.fromEntries(names.map((name) => [name, name])));
  assert.deepEqual(readdirSync(path).sort(), [...names, "loop"].sort());
  for (const name of names) assert.equal(readFileSync(join(path, name), "utf8"), name);
});

test("where a name is taken, nothing is lost silently: the download says which two names are one", () => {
  // As on a file system to which names that differ in case only are one: whoever comes second finds it there.
  const taken = Object.assign(new Error("EEXIST: file already exists"), { code: "EEXIST" });
  assert.match(
    String(entryError("README", taken)),
    /README.*differs only in upper and lower case or in its Unicode form/,
  );
});

test("a folder whose manifest names more than it was said to have is refused before anything is written", async () => {
  const entries = [file("a", "x"), file("b", "y")];
  for (const said of [{ size: 1 }, { fileCount: 1 }, { size: 3 }]) {
    await assert.rejects(downloadFolder(entries, { a: "x", b: "y" }, { said }), /names 2 files of 2 bytes, and not/);
    nothingLeft();
  }
});

test("a folder larger than the disk has room for is refused before anything is written", async () => {
  const huge = { ...file("a", "x"), size: 2 ** 50 } as ManifestEntry;
  await assert.rejects(downloadFolder([huge], {}), /has 1024 TiB, and the disk has room for/);
  nothingLeft();
});

const TREE = [
  file("plots/2024/a.png", "A"),
  file("plots/2024/b.png", "B"),
  file("plots/2025/c.png", "C"),
  { kind: "folder", path: "plots/2024/empty", mode: 0o755 } as const,
  { kind: "link", path: "plots/2024/latest", target: "b.png" } as const,
  { kind: "link", path: "plots/2024/next", target: "../2025/c.png" } as const,
  file("readme", "R"),
];
const TREE_CONTENTS = {
  "plots/2024/a.png": "A",
  "plots/2024/b.png": "B",
  "plots/2025/c.png": "C",
  readme: "R",
};

test("of a folder only the part that was asked for is fetched; links out of it are named and left out", async () => {
  const asked: string[] = [];
  const { path, size, leftOut } = await downloadFolder(TREE, TREE_CONTENTS, { part: "plots/2024", asked });
  assert.equal(path, join(folder, "target", "2024"));
  assert.deepEqual(readdirSync(path).sort(), ["a.png", "b.png", "empty", "latest"]);
  assert.equal(readFileSync(join(path, "latest"), "utf8"), "B");
  assert.deepEqual([size, leftOut], [2, ["plots/2024/next"]]);
  assert.deepEqual(asked, ["content", "files?under=plots%2F2024&skip=0"]);
});

test("one file of a folder is fetched alone", async () => {
  const { path, size } = await downloadFolder(TREE, TREE_CONTENTS, { part: "plots/2025/c.png" });
  assert.deepEqual([path, size], [join(folder, "target", "c.png"), 1]);
  assert.equal(readFileSync(path, "utf8"), "C");
});

test("a part that is not there is refused, with what there is", async () => {
  await assert.rejects(downloadFolder(TREE, TREE_CONTENTS, { part: "plot" }), {
    message: "The folder model has no plot.",
    advice: ["It has: plots, readme."],
  });
  nothingLeft();
});

test("an answer that breaks off is gone on with at the file where it did", async () => {
  const asked: string[] = [];
  const { path } = await downloadFolder(TREE, TREE_CONTENTS, { breaksAfter: [1, 0, 2, 9], asked });
  assert.equal(readFileSync(join(path, "readme"), "utf8"), "R");
  assert.deepEqual(
    asked.map((one) => one.split("skip=")[1]),
    [undefined, "0", "1", "1", "3"],
  );
});

test("a server that always breaks off is given up, and nothing is left", async () => {
  await assert.rejects(downloadFolder(TREE, TREE_CONTENTS, { breaksAfter: [0] }), { name: "ServerUnreachable" });
  nothingLeft();
});

test("a file of a folder with other bytes is refused, and nothing is left", async () => {
  await assert.rejects(downloadFolder(TREE, { ...TREE_CONTENTS, readme: "X" }), /bytes of readme are not those/);
  nothingLeft();
});

test("a link at the target counts as something that is there, wherever it leads", async () => {
  symlinkSync("nowhere", join(folder, "target", "summary.txt"));
  using server = await serving({ "": "x" });
  const options = { api: server.api, folder: join(folder, "target"), overwrite: false };
  await assert.rejects(downloadArtifact(artifact({ digest: sha256("x") }), options), /exists already/);
  await downloadArtifact(artifact({ digest: sha256("x") }), { ...options, overwrite: true });
  assert.equal(lstatSync(join(folder, "target", "summary.txt")).isFile(), true);
  assert.equal(existsSync(join(folder, "target", "nowhere")), false);
});

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

test("a large file that was interrupted goes on where it stopped; what is wrong of it is fetched anew", async () => {
  const bytes = randomBytes(9 * 1024 * 1024);
  const digest = createHash("sha256").update(bytes).digest("hex");
  const ranges: (string | undefined)[] = [];
  let cutAfter = 5 * 1024 * 1024;
  const server = createServer((request, response) => {
    const { range } = request.headers;
    ranges.push(range);
    const from = Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1] ?? 0);
    response.writeHead(range === undefined ? 200 : 206, { "content-length": bytes.length - from });
    const end = Math.min(bytes.length, from + cutAfter);
    response.write(bytes.subarray(from, end), () => (end < bytes.length ? response.destroy() : response.end()));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const api = new ApiClient(() => ({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, token: "t" }));
  const target = join(folder, "target");
  const version = artifact({ digest, size: bytes.length });
  const seen: number[] = [];
  const get = () =>
    downloadArtifact(version, { api, folder: target, overwrite: true, onProgress: (at) => seen.push(at) });
  try {
    await assert.rejects(get(), { name: "ServerUnreachable" });
    const [partial] = readdirSync(target);
    const kept = statSync(join(target, partial!)).size;
    assert.ok(kept > 0 && kept < bytes.length, `${kept} bytes were kept`);
    cutAfter = Infinity;
    const { path } = await get();
    assert.ok(readFileSync(path).equals(bytes));
    assert.deepEqual(ranges, [undefined, `bytes=${kept}-`]);
    assert.equal(seen.at(-1), bytes.length);
    writeFileSync(join(target, partial!), "something else");
    assert.ok(readFileSync((await get()).path).equals(bytes));
    // Its name can be foreseen: whoever may write to the folder can put there what leads elsewhere.
    const elsewhere = join(folder, "elsewhere");
    for (const lay of [symlinkSync, linkSync]) {
      writeFileSync(elsewhere, "not to be written to");
      lay(elsewhere, join(target, partial!));
      assert.ok(readFileSync((await get()).path).equals(bytes));
      assert.ok(lstatSync(join(target, "summary.txt")).isFile());
      assert.equal(readFileSync(elsewhere, "utf8"), "not to be written to");
    }
    assert.deepEqual(readdirSync(target), ["summary.txt"]);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});
