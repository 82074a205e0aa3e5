import assert from "node:assert/strict";
import { test } from "node:test";
import { generateDockerfile, type Recipe } from "./dockerfile.ts";
import { imageKey, imageTag } from "./image-key.ts";
import { requiredFiles, sourcePaths } from "./required-files.ts";

const RECIPE: Recipe = {
  kind: "recipe",
  base: "python:3.12-slim",
  apt: ["git", "curl"],
  python: { requirements: "requirements.txt", packages: ["numpy>=1.26; python_version > '3.8'"] },
  node: { lockfile: "web/package-lock.json", packages: [] },
  source: ".",
  env: { GREETING: 'say "hi" for $5 \\ more', LINES: "a\nb" },
};

test("dependencies come before variables, and the source comes last", () => {
  const text = generateDockerfile(RECIPE);
  const places = [
    "FROM python:3.12-slim",
    "apt-get install",
    "pip install",
    "npm ci",
    "ENV GREETING",
    'COPY [".", "/app/"]',
  ];
  const positions = places.map((place) => text.indexOf(place));
  assert.ok(!positions.includes(-1), text);
  assert.deepEqual(
    positions,
    positions.toSorted((a, b) => a - b),
  );
  assert.ok(text.trimEnd().endsWith('COPY [".", "/app/"]'));
});

test("only the files that name dependencies are copied before they are installed", () => {
  const text = generateDockerfile(RECIPE);
  assert.match(text, /COPY \["requirements.txt", "\/opt\/berth\/requirements.txt"\]\nRUN .*pip install/);
  assert.match(
    text,
    /COPY \["web\/package.json", "web\/package-lock.json", "\/app\/web\/"\]\nRUN cd \/app\/web && npm ci/,
  );
});

test("values and package names are quoted, so that none of them is read as shell or Dockerfile", () => {
  const text = generateDockerfile(RECIPE);
  assert.ok(text.includes(String.raw`ENV GREETING="say \"hi\" for \$5 \\ more"`), text);
  assert.ok(text.includes(String.raw`'numpy>=1.26; python_version > '\''3.8'\'''`), text);
  assert.ok(!text.includes("LINES"), "a value with a line break is set when the step starts");
});

test("paths of COPY are taken literally, with variables, quotes and patterns in them", () => {
  const text = generateDockerfile({ ...RECIPE, node: null, source: "we [i]rd $d 'q'*" });
  assert.ok(text.endsWith(String.raw`COPY ["we [[]i]rd \\$d \\'q\\'[*]", "/app/"]${"\n"}`), text);
});

test("Node packages are installed where the source will lie, and their commands are on the PATH", () => {
  const node = { lockfile: "web/package-lock.json", packages: ["zod@4"] };
  const inSource = generateDockerfile({ ...RECIPE, node, source: "web" });
  assert.match(inSource, /COPY \["web\/package.json", "web\/package-lock.json", "\/app\/"\]\nRUN cd \/app && npm ci/);
  assert.match(inSource, /npm install --no-save zod@4 &&/);
  assert.match(inSource, /ENV PATH="\/app\/node_modules\/.bin:\$PATH"/);
  assert.match(generateDockerfile({ ...RECIPE, node, source: "other" }), /"\/app\/"\]\nRUN cd \/app && npm ci/);
});

test("what could start another instruction, option or command throws, wherever the plan came from", () => {
  const bad: Partial<Recipe>[] = [
    { base: "python\nRUN evil" },
    { base: "--platform=x" },
    { apt: ["--allow-unauthenticated"] },
    { apt: ["git\nRUN evil"] },
    { python: { requirements: null, packages: ["-r/etc/passwd"] } },
    { python: { requirements: "../outside.txt", packages: [] } },
    { node: { lockfile: "/etc/package-lock.json", packages: [] } },
    { source: "a\\b" },
    { source: "a\nRUN evil" },
    { env: { "A B": "x" } },
    { env: { A: "x\u2028RUN" } },
  ];
  for (const change of bad) {
    assert.throws(() => generateDockerfile({ ...RECIPE, ...change }), TypeError, JSON.stringify(change));
  }
});

test("a Dockerfile for Debian's own Python calls no python or pip command, and allows packages beside its own", () => {
  const text = generateDockerfile(RECIPE);
  assert.doesNotMatch(text, /(RUN|&&|=\S+) (python|pip) /);
  assert.match(text, /^ARG PIP_BREAK_SYSTEM_PACKAGES=1$[\s\S]*^RUN python3 -m pip install --no-cache-dir/m);
});

test("an empty recipe is only its base", () => {
  const text = generateDockerfile({ ...RECIPE, apt: [], python: null, node: null, source: null, env: {} });
  assert.equal(text, "FROM python:3.12-slim\nUSER 0:0\nWORKDIR /app\nENV PYTHONUNBUFFERED=1\n");
});

test("an image's key depends on everything that goes in, and on nothing else", () => {
  const dockerfile = generateDockerfile(RECIPE);
  const a = { path: "a", digest: "1".repeat(64), mode: 0o644 };
  const b = { path: "b", digest: "2".repeat(64), mode: 0o644 };
  const key = imageKey({ environment: RECIPE, dockerfile, files: [a, b] });
  assert.equal(imageKey({ environment: RECIPE, dockerfile, files: [b, a] }), key, "not on the order of files");
  const others = [
    imageKey({ environment: RECIPE, dockerfile: `${dockerfile}\n`, files: [a, b] }),
    imageKey({ environment: RECIPE, dockerfile, files: [a] }),
    imageKey({ environment: RECIPE, dockerfile, files: [a, { ...b, mode: 0o755 }] }),
    imageKey({ environment: RECIPE, dockerfile, files: [a, { ...b, digest: "3".repeat(64) }] }),
    imageKey({ environment: RECIPE, dockerfile, files: [a, { ...b, path: "c" }] }),
  ];
  assert.equal(new Set([key, ...others]).size, others.length + 1);
});

test("the stage is part of an own Dockerfile's key, and a Dockerfile without one has the key that it always had", () => {
  const own = { kind: "dockerfile", dockerfile: "Dockerfile", context: ".", args: {}, env: {} } as const;
  const keyOf = (target?: string) =>
    imageKey({ environment: target === undefined ? own : { ...own, target }, dockerfile: "FROM x", files: [] });
  assert.equal(new Set([keyOf(), keyOf("a"), keyOf("b")]).size, 3);
});

test("build arguments are part of an own Dockerfile's key", () => {
  const own = { kind: "dockerfile", dockerfile: "Dockerfile", context: ".", args: { A: "1" }, env: {} } as const;
  const key = imageKey({ environment: own, dockerfile: "FROM x", files: [] });
  assert.notEqual(imageKey({ environment: { ...own, args: { A: "2" } }, dockerfile: "FROM x", files: [] }), key);
});

test("a tag is legal whatever the pipeline is called", () => {
  assert.equal(imageTag("Wine_v2", "ab".repeat(32)), `berth/wine-v2:${"ab".repeat(12)}`);
});

test("an environment says which files of the source it needs", () => {
  assert.deepEqual(requiredFiles(RECIPE), {
    files: ["requirements.txt", "web/package.json", "web/package-lock.json"],
    folder: ".",
  });
  assert.equal(requiredFiles({ kind: "image", image: "x", source: ".", env: {} }), null);
  const image = (source: string | null) => ({ kind: "image", image: "x", source, env: {} }) as const;
  assert.deepEqual(sourcePaths({ environments: { a: image(null) } }), []);
  assert.deepEqual(sourcePaths({ environments: { a: image("web"), b: image("app"), c: image("web") } }), [
    "app",
    "web",
  ]);
  assert.deepEqual(sourcePaths({ environments: { a: image("web"), b: image(".") } }), ["."]);
  assert.deepEqual(sourcePaths({ environments: { a: { ...RECIPE, source: null } } }), [
    "requirements.txt",
    "web/package-lock.json",
    "web/package.json",
  ]);
});
