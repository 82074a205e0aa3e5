import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { test } from "node:test";

const root = resolve(import.meta.dirname, "..");
const sources = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts"))
  .map((file) => file.replaceAll("\\", "/"));

const BACKEND_INTERFACE = ["backends/execution-backend.ts", "backends/image-request.ts", "backends/kept-images.ts"];

/** The folder table of ARCHITECTURE.md, as data. A file name in place of a folder allows that file alone. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  protocol: [],
  std: [],
  pipeline: ["protocol"],
  environment: ["protocol"],
  shim: ["std"],
  backends: ["protocol", "std", "shim"],
  runtime: ["protocol", "std", "environment", "pipeline", ...BACKEND_INTERFACE, "backends/object-name.ts"],
  agent: ["runtime", "pipeline", "protocol", "std", ...BACKEND_INTERFACE, "backends/object-name.ts"],
  server: ["protocol", "pipeline", "std"],
  cli: ["protocol", "pipeline", "environment", "runtime", "std", ...BACKEND_INTERFACE],
};

interface Import {
  readonly from: string;
  readonly to: string;
}

function importsOf(file: string): Import[] {
  const text = readFileSync(join(root, "src", file), "utf8");
  const specifiers = [...text.matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]+)"/g)].map((match) => match[1]!);
  return specifiers.map((specifier) => ({
    from: file,
    to: relative(join(root, "src"), resolve(root, "src", dirname(file), specifier)).replaceAll("\\", "/"),
  }));
}

function isAllowed({ from, to }: Import): boolean {
  const folder = from.split("/")[0]!;
  if (from === "main.ts") return true;
  if (isTest(from)) return true;
  if (folder === to.split("/")[0]) return folder !== "backends" || isOneBackend(from, to);
  return (MAY_IMPORT[folder] ?? []).some((allowed) => to === allowed || to.startsWith(`${allowed}/`));
}

/** Tests, and what only they use, stand beside what they test and may reach for what they need to build it. */
function isTest(file: string): boolean {
  return file.includes(".test.") || file.includes("/testing/");
}

function isOneBackend(from: string, to: string): boolean {
  const depth = (file: string) => file.split("/").length;
  const part = (file: string) => file.split("/")[1]!.replace(/\.ts$/, "");
  return depth(to) === 2 || part(from) === part(to);
}

test("each folder imports only what the table in ARCHITECTURE.md allows", () => {
  const offenders = sources.flatMap(importsOf).filter((entry) => !isAllowed(entry));
  assert.deepEqual(
    offenders.map(({ from, to }) => `${from} → ${to}`),
    [],
  );
});

test("the table in ARCHITECTURE.md and this test name the same folders", () => {
  const text = readFileSync(join(root, "ARCHITECTURE.md"), "utf8");
  const documented = [...text.matchAll(/^\| `src\/([a-z]+)` \|/gm)].map((match) => match[1]!);
  assert.deepEqual(documented.sort(), Object.keys(MAY_IMPORT).sort());
});

test("the web UI shares with the server the types of what they say to each other, and nothing else", () => {
  const files = readdirSync(join(root, "web/src"), { recursive: true, encoding: "utf8" }).filter((file) =>
    /\.tsx?$/.test(file),
  );
  const offenders = files.filter((file) => {
    const text = readFileSync(join(root, "web/src", file), "utf8");
    const outside = [...text.matchAll(/^import (type )?[^;]*? from "(?:\.\.\/)+(src\/[^"]+)"/gms)];
    return outside.some(([, isType, to]) => isType === undefined || !to!.startsWith("src/protocol/"));
  });
  assert.deepEqual(offenders, []);
});

test("only main.ts names concrete backends", () => {
  const offenders = sources
    .filter((file) => file !== "main.ts" && !file.startsWith("backends/") && !isTest(file))
    .flatMap(importsOf)
    .filter(({ to }) => /^backends\/[a-z]+\//.test(to));
  assert.deepEqual(offenders, []);
});

test("no file re-exports another: a name is imported from where it is defined", () => {
  const barrels = sources.filter((file) =>
    /^export\s+(\*|\{[^}]*\})\s+from/m.test(readFileSync(join(root, "src", file), "utf8")),
  );
  assert.deepEqual(barrels, []);
});

test("source files stay readable: none is longer than 400 lines", () => {
  const long = sources
    .filter((file) => !isTest(file) && file !== "backends/contract.ts")
    .map((file) => ({ file, lines: readFileSync(join(root, "src", file), "utf8").split("\n").length }))
    .filter(({ lines }) => lines > 400);
  assert.deepEqual(long, []);
});
