import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { hash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { FolderManifest } from "../protocol/artifacts.ts";
import type { ArtifactType } from "../protocol/plan.ts";
import { removeTree } from "../std/remove-tree.ts";
import { BlobCache } from "./blob-cache.ts";
import { collectOutputs } from "./collect-outputs.ts";

let root: string;
let cache: BlobCache;
before(async () => {
  root = mkdtempSync(join(tmpdir(), "berth-collect-"));
  cache = await BlobCache.open({ folder: join(root, "cache"), budgetBytes: 2 ** 40 });
  writeFileSync(join(root, "secret"), "of the host");
});
after(async () => {
  await removeTree(root);
  // Whatever a step leaves, nothing of it stays on the worker.
  assert.equal(existsSync(root), false);
});

const LIMITS = { outputBytesMax: 1_000_000, outputEntriesMax: 500 };
const never = new AbortController().signal;

let count = 0;
function attempt(): string {
  const folder = join(root, `attempt-${count++}`);
  mkdirSync(join(folder, "out"), { recursive: true });
  return folder;
}

function collect(folder: string, path: string, type: ArtifactType = "file", limits = LIMITS) {
  const declared = { result: { path, type, optional: false, when: "success" } } as const;
  const source = cache.sourceOf(() => {
    throw new Error("nothing is fetched");
  });
  return collectOutputs(folder, declared, { cache: source, limits, signal: never });
}

async function manifestOf(folder: string): Promise<FolderManifest> {
  const { outputs, faults } = await collect(folder, "result", "folder");
  assert.deepEqual(faults, []);
  return FolderManifest.parse(JSON.parse(readFileSync(cache.find(outputs.result!.digest, null)!, "utf8")));
}

test("a folder becomes a canonical manifest: sorted, every entry, executable or not, and its files are blobs", async () => {
  const folder = attempt();
  const out = join(folder, "out", "result");
  mkdirSync(join(out, "a", "empty"), { recursive: true });
  writeFileSync(join(out, "a-b"), "1");
  writeFileSync(join(out, "a", "z.txt"), "2");
  writeFileSync(join(out, "run"), "3");
  chmodSync(join(out, "run"), 0o4711);
  chmodSync(join(out, "a-b"), 0o600);
  symlinkSync("../run", join(out, "a", "link"));
  const file = (path: string, text: string, mode = 0o644) => ({
    kind: "file",
    path,
    mode,
    size: 1,
    digest: hash("sha256", text),
  });
  assert.deepEqual(await manifestOf(folder), {
    schema: 1,
    entries: [
      { kind: "folder", path: "a", mode: 0o755 },
      file("a-b", "1"),
      { kind: "folder", path: "a/empty", mode: 0o755 },
      { kind: "link", path: "a/link", target: "../run" },
      file("a/z.txt", "2"),
      file("run", "3", 0o755),
    ],
  });
  assert.equal(readFileSync(cache.find(hash("sha256", "2"), 1)!, "utf8"), "2");
});

test("equal folders have equal digests, however they were made", async () => {
  const digests = [];
  for (const names of [
    ["b", "a", "c"],
    ["c", "b", "a"],
  ]) {
    const folder = attempt();
    mkdirSync(join(folder, "out", "result"));
    for (const name of names) writeFileSync(join(folder, "out", "result", name), name);
    digests.push((await collect(folder, "result")).outputs.result!.digest);
  }
  assert.equal(digests[0], digests[1]);
});

test("size and number of files are those of the folder, not of its manifest", async () => {
  const folder = attempt();
  mkdirSync(join(folder, "out", "plots"));
  writeFileSync(join(folder, "out", "plots", "a"), "12345");
  writeFileSync(join(folder, "out", "plots", "b"), "1");
  const { digest: _, ...content } = (await collect(folder, "plots/", "folder")).outputs.result!;
  const contentType = "application/vnd.berth.folder+json";
  assert.deepEqual(content, { kind: "folder", size: 6, fileName: "plots", contentType, fileCount: 2 });
});

test("a folder with names that are one on other systems is kept, with a warning that names them", async () => {
  const folder = attempt();
  const out = join(folder, "out", "result");
  mkdirSync(join(out, "Sub"), { recursive: true });
  mkdirSync(join(out, "sub"));
  const names = ["README", "Readme", "caf\u00e9", "cafe\u0301", "Sub/x", "sub/X"];
  for (const name of names) writeFileSync(join(out, name), name);
  const { outputs, faults, warnings } = await collect(folder, "result", "folder");
  assert.deepEqual([faults, outputs.result!.fileCount], [[], 6]);
  assert.match(
    warnings.join("\n"),
    /^Output result: the names "README" and "Readme", and 3 more such pairs, differ only/,
  );
  const plain = attempt();
  mkdirSync(join(plain, "out", "result"));
  for (const name of ["a", "b", "A.txt"]) writeFileSync(join(plain, "out", "result", name), "");
  assert.deepEqual((await collect(plain, "result", "folder")).warnings, []);
});

test("names of controls and line feeds, links in a circle, hard links and holes in files are kept as they are", async () => {
  const folder = attempt();
  const out = join(folder, "out", "result");
  mkdirSync(out, { recursive: true });
  writeFileSync(join(out, "line\nfeed\u001b[2J"), "1");
  symlinkSync("round", join(out, "circle"));
  symlinkSync("circle", join(out, "round"));
  symlinkSync("nowhere", join(out, "dangling"));
  linkSync(join(out, "line\nfeed\u001b[2J"), join(out, "second"));
  writeFileSync(join(out, "holes"), "");
  truncateSync(join(out, "holes"), 100_000);
  chmodSync(join(out, "second"), 0o4755);
  const { entries } = await manifestOf(folder);
  const same = hash("sha256", "1");
  assert.deepEqual(entries, [
    { kind: "link", path: "circle", target: "round" },
    { kind: "link", path: "dangling", target: "nowhere" },
    { kind: "file", path: "holes", mode: 0o644, size: 100_000, digest: hash("sha256", Buffer.alloc(100_000)) },
    { kind: "file", path: "line\nfeed\u001b[2J", mode: 0o755, size: 1, digest: same },
    { kind: "link", path: "round", target: "circle" },
    { kind: "file", path: "second", mode: 0o755, size: 1, digest: same },
  ]);
});

test("an output may lie in a folder of its own", async () => {
  const folder = attempt();
  mkdirSync(join(folder, "out", "a", "b"), { recursive: true });
  writeFileSync(join(folder, "out", "a", "b", "c.json"), "{}");
  const { outputs } = await collect(folder, "a/b/c.json", "json");
  assert.equal(outputs.result!.fileName, "c.json");
  assert.equal(outputs.result!.contentType, "application/json");
});

test("a file where a folder was declared, and a folder where CSV was, are said to be so; own types may be either", async () => {
  const folder = attempt();
  writeFileSync(join(folder, "out", "file"), "");
  mkdirSync(join(folder, "out", "folder"));
  assert.match((await collect(folder, "file", "folder")).faults[0]!.message, /is a file, but .* declared as folder/);
  assert.match((await collect(folder, "folder", "csv")).faults[0]!.message, /is a folder, but .* declared as csv/);
  const own = await Promise.all(["file", "folder"].map((path) => collect(folder, path, "x-model")));
  assert.deepEqual(
    own.map(({ outputs }) => outputs.result?.kind),
    ["file", "folder"],
  );
});

// What a step may leave to reach for the host. Each is told as a fault, and nothing of the host is ever read.

type Trap = (out: string, folder: string) => void | Promise<void>;
const TRAPS: Record<string, Trap> = {
  "a link to a file of the host": (out) => symlinkSync(join(root, "secret"), join(out, "result")),
  "a link to a folder of the host": (out) => symlinkSync(root, join(out, "result")),
  "a relative link out": (out) => symlinkSync("../../secret", join(out, "result")),
  "a link to another output": (out) => {
    writeFileSync(join(out, "real"), "");
    symlinkSync("real", join(out, "result"));
  },
  "a dangling link": (out) => symlinkSync("nowhere", join(out, "result")),
  "a link to itself": (out) => symlinkSync("result", join(out, "result")),
  "out itself as a link": (out) => {
    rmSync(out, { recursive: true });
    mkdirSync(join(root, "elsewhere"), { recursive: true });
    writeFileSync(join(root, "elsewhere", "result"), "of the host");
    symlinkSync(join(root, "elsewhere"), out);
  },
  "a FIFO": (out) => void execFileSync("mkfifo", [join(out, "result")]),
  "a folder with a link to the host": (out) => {
    mkdirSync(join(out, "result"));
    symlinkSync("/etc/passwd", join(out, "result", "x"));
  },
  "a folder with a link out by steps": (out) => {
    mkdirSync(join(out, "result", "a"), { recursive: true });
    symlinkSync("a/../../../secret", join(out, "result", "x"));
  },
  "a folder with a link out through another": (out) => {
    mkdirSync(join(out, "result", "d"), { recursive: true });
    symlinkSync("..", join(out, "result", "d", "up"));
    symlinkSync("d/up/..", join(out, "result", "x"));
  },
  "a folder with a FIFO": (out) => {
    mkdirSync(join(out, "result"));
    execFileSync("mkfifo", [join(out, "result", "x")]);
  },
  "a folder with a socket": async (out) => {
    mkdirSync(join(out, "result"));
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(join(out, "result", "s"), resolve));
    // Closing removes the socket, so what is left is a second name of it.
    linkSync(join(out, "result", "s"), join(out, "result", "socket"));
    await new Promise((resolve) => server.close(resolve));
  },
  "a folder with a name that is not UTF-8": (out) => {
    mkdirSync(join(out, "result"));
    writeFileSync(Buffer.concat([Buffer.from(join(out, "result", "x")), Buffer.from([0xff])]), "");
  },
  "a folder with a backslash in a name": (out) => {
    mkdirSync(join(out, "result"));
    writeFileSync(join(out, "result", "..\\x"), "");
  },
  "a folder deeper than any path": (out) => {
    mkdirSync(join(out, "result"));
    const down = "import os\nfor _ in range(60): os.mkdir('d' * 100); os.chdir('d' * 100)";
    execFileSync("python3", ["-c", down], { cwd: join(out, "result") });
  },
};
TRAPS["a folder of a thousand levels"] = (out) => {
  mkdirSync(join(out, "result"));
  const down = "import os\nfor _ in range(1000): os.mkdir('d'); os.chdir('d')";
  execFileSync("python3", ["-c", down], { cwd: join(out, "result") });
};
TRAPS["a folder with a chain of links out"] = (out) => {
  mkdirSync(join(out, "result"));
  symlinkSync("b/..", join(out, "result", "a"));
  symlinkSync("..", join(out, "result", "b"));
};
if (process.getuid?.() === 0) {
  TRAPS["a device"] = (out) => void execFileSync("mknod", [join(out, "result"), "c", "1", "5"]);
  TRAPS["a folder with a device"] = (out) => {
    mkdirSync(join(out, "result"));
    execFileSync("mknod", [join(out, "result", "zero"), "c", "1", "5"]);
  };
}

for (const [name, make] of Object.entries(TRAPS)) {
  test(`${name} is an unsafe output`, async () => {
    const folder = attempt();
    await make(join(folder, "out"), folder);
    const { outputs, faults } = await collect(folder, "result");
    assert.deepEqual(outputs, {});
    assert.equal(faults[0]?.code, "output-unsafe", JSON.stringify(faults));
    assert.equal(cache.find(hash("sha256", "of the host"), null), null);
  });
}

test("a link on the way to an output is an unsafe output", async () => {
  const folder = attempt();
  mkdirSync(join(root, "other"), { recursive: true });
  writeFileSync(join(root, "other", "file"), "of the host");
  symlinkSync(join(root, "other"), join(folder, "out", "a"));
  assert.equal((await collect(folder, "a/file")).faults[0]?.code, "output-unsafe");
});

test("a hard link to a file of the host is taken as a copy: the host's file stays as it is", async () => {
  const folder = attempt();
  const host = join(root, "writable-by-others");
  writeFileSync(host, "shared bytes");
  linkSync(host, join(folder, "out", "result"));
  const { outputs } = await collect(folder, "result");
  writeFileSync(host, "changed later");
  assert.equal(readFileSync(cache.find(outputs.result!.digest, null)!, "utf8"), "shared bytes");
});

test("outputs above the limit of bytes are too large, and a sparse file is not even read", async () => {
  const folder = attempt();
  writeFileSync(join(folder, "out", "sparse"), "");
  truncateSync(join(folder, "out", "sparse"), 2 ** 42);
  assert.equal((await collect(folder, "sparse")).faults[0]?.code, "output-too-large");
  mkdirSync(join(folder, "out", "many"));
  for (const name of ["a", "b", "c"]) writeFileSync(join(folder, "out", "many", name), "x".repeat(40));
  const limits = { outputBytesMax: 100, outputEntriesMax: 100 };
  assert.equal((await collect(folder, "many", "folder", limits)).faults[0]?.code, "output-too-large");
});

test("outputs above the limit of entries are too large", async () => {
  const folder = attempt();
  mkdirSync(join(folder, "out", "many"));
  for (let index = 0; index < 10; index++) mkdirSync(join(folder, "out", "many", String(index)));
  const limits = { outputBytesMax: 100, outputEntriesMax: 10 };
  assert.equal((await collect(folder, "many", "folder", limits)).faults[0]?.code, "output-too-large");
});

test("a file larger than is hashed at once is hashed in pieces to the same digest", async () => {
  const folder = attempt();
  const bytes = Buffer.alloc(5 * 1024 * 1024 + 17, "berth");
  writeFileSync(join(folder, "out", "large"), bytes);
  const { outputs } = await collect(folder, "large", "file", { outputBytesMax: 1e9, outputEntriesMax: 10 });
  assert.equal(outputs.result!.digest, hash("sha256", bytes));
});

test("the content type is the extension's; of a name that says nothing, that of well-known data, and never of a page", async () => {
  const typeOf = async (path: string, bytes: string) => {
    const folder = attempt();
    writeFileSync(join(folder, "out", path), Buffer.from(bytes, "latin1"));
    return (await collect(folder, path)).outputs.result!.contentType;
  };
  assert.equal(await typeOf("table.csv", "\x89PNG\r\n\x1a\n"), "text/csv");
  assert.equal(await typeOf("plot", "\x89PNG\r\n\x1a\n and so on"), "image/png");
  assert.equal(await typeOf("table.v2", "PAR1..."), "application/vnd.apache.parquet");
  assert.equal(await typeOf("image", "RIFF....WEBPVP8"), "image/webp");
  assert.equal(await typeOf("model.bin", "\x93NUMPY\x01\x00"), "application/x-npy");
  const others = ["", "P", "<html><script>", "<svg onload=alert(1)>", "%PDF-1.7", "GIF8", "#!/bin/sh"];
  for (const bytes of others) assert.equal(await typeOf("thing", bytes), "application/octet-stream", bytes);
});
