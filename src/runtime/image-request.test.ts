import assert from "node:assert/strict";
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { BackendError } from "../backends/execution-backend.ts";
import { MEMORY_CAPABILITIES } from "../backends/memory/memory-backend.ts";
import type { Environment } from "../protocol/plan.ts";
import { removeTree } from "../std/remove-tree.ts";
import { type ImageNeed, imageRequest } from "./image-request.ts";

let root: string;
before(() => {
  root = mkdtempSync(join(tmpdir(), "berth-image-"));
});
after(() => removeTree(root));

let count = 0;
function source(files: Readonly<Record<string, string>>): string {
  const folder = join(root, `source-${count++}`);
  mkdirSync(folder);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(folder, path, ".."), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return folder;
}

const RECIPE: Extract<Environment, { kind: "recipe" }> = {
  kind: "recipe",
  base: "python:3.12-slim",
  apt: [],
  python: null,
  node: null,
  source: ".",
  env: {},
};

function request(environment: Environment, folder: string | null, images = true): Promise<ImageNeed> {
  const capabilities = { ...MEMORY_CAPABILITIES, images };
  return imageRequest({
    pipeline: "wine",
    environment,
    source: folder,
    contexts: join(root, "contexts"),
    capabilities,
    secretsFor: (named) => ({ ids: named.map(({ id }) => id), read: () => Promise.reject(new Error("not asked for")) }),
  });
}

async function build(environment: Environment, folder: string | null) {
  const need = await request(environment, folder);
  assert.ok(need.ok && need.request?.kind === "build", JSON.stringify(need));
  return need.request;
}

async function refusal(environment: Environment, folder: string | null, images = true) {
  const need = await request(environment, folder, images);
  assert.ok(!need.ok, JSON.stringify(need));
  return need.fault;
}

const listing = (folder: string) => (readdirSync(folder, { recursive: true }) as string[]).sort();

test("a ready image is asked for as it is", async () => {
  const need = await request({ kind: "image", image: "busybox:1", source: null, env: {} }, null);
  assert.deepEqual(need, { ok: true, request: { kind: "ready", image: "busybox:1" }, warnings: [] });
});

test("a recipe's context is the source, and its tag changes when any of it changes", async () => {
  const one = await build(RECIPE, source({ "main.py": "1", "pkg/a.py": "2" }));
  assert.deepEqual(listing(one.context), ["main.py", "pkg", "pkg/a.py"]);
  assert.match(one.dockerfile, /^FROM python:3\.12-slim/);
  const same = await build(RECIPE, source({ "pkg/a.py": "2", "main.py": "1" }));
  assert.deepEqual([same.tag, same.context], [one.tag, one.context]);
  const others = [
    await build(RECIPE, source({ "main.py": "1", "pkg/a.py": "3" })),
    await build(RECIPE, source({ "main.py": "1", "pkg/b.py": "2" })),
    await build({ ...RECIPE, base: "python:3.13-slim" }, source({ "main.py": "1", "pkg/a.py": "2" })),
  ];
  assert.equal(new Set([one.tag, ...others.map(({ tag }) => tag)]).size, 4);
});

test("only what the recipe needs is in the context", async () => {
  const folder = source({ "requirements.txt": "numpy", "app/main.py": "1", "data/large": "x" });
  const environment = { ...RECIPE, source: "app", python: { requirements: "./requirements.txt", packages: [] } };
  const { context } = await build(environment, folder);
  assert.deepEqual(listing(context), ["app", "app/main.py", "requirements.txt"]);
});

test("a .dockerignore is respected, but never for a file that the recipe names", async () => {
  const folder = source({
    ".dockerignore": "*.csv\nrequirements.txt",
    "a.csv": "",
    "a.py": "",
    "requirements.txt": "",
  });
  const { context } = await build({ ...RECIPE, python: { requirements: "requirements.txt", packages: [] } }, folder);
  assert.deepEqual(listing(context), [".dockerignore", "a.py", "requirements.txt"]);
});

test("an own Dockerfile is built with the context that it names, ignoring what that says", async () => {
  const folder = source({
    "docker/Dockerfile": "FROM scratch\nCOPY . /x\n",
    "web/index.html": "<p>",
    "web/.dockerignore": "*\n!index.html",
    "web/secret": "x",
    "other/file": "x",
  });
  symlinkSync("index.html", join(folder, "web", "home"));
  const args = { VERSION: "1" };
  const environment: Environment = {
    kind: "dockerfile",
    dockerfile: "docker/Dockerfile",
    context: "web",
    args,
    env: {},
  };
  const built = await build(environment, folder);
  assert.equal(built.dockerfile, "FROM scratch\nCOPY . /x\n");
  assert.deepEqual(built.args, args);
  assert.deepEqual(listing(built.context), ["index.html"]);
});

test("the ignore file beside an own Dockerfile is taken instead of that of its context", async () => {
  const folder = source({
    "docker/Dockerfile": "FROM scratch\n",
    "docker/Dockerfile.dockerignore": "# its own\n**/*.log\n!web/keep.log\n",
    "web/.dockerignore": "*",
    "web/index.html": "<p>",
    "web/a.log": "",
  });
  const own = { kind: "dockerfile", dockerfile: "docker/Dockerfile", args: {}, env: {} } as const;
  const { context } = await build({ ...own, context: "web" }, folder);
  assert.deepEqual(listing(context), [".dockerignore", "index.html"]);
});

test("rules start at the root of the source, also where only a folder of it goes in", async () => {
  const folder = source({ ".dockerignore": "app/data\n/x.py", "app/x.py": "", "app/data/large": "", "x.py": "" });
  const { context } = await build({ ...RECIPE, source: "app" }, folder);
  assert.deepEqual(listing(context), ["app", "app/x.py"]);
});

test("an ignore file that Docker would refuse is a configuration fault with its line", async () => {
  const refused = await refusal(RECIPE, source({ ".dockerignore": "ok\na[\n" }));
  assert.equal(refused.class, "configuration");
  assert.match(refused.message, /\.dockerignore cannot be used: line 2, "a\[", is no pattern/);
});

test("links inside of the source stay links in the context", async () => {
  const folder = source({ "pkg/a.py": "1" });
  symlinkSync("pkg/a.py", join(folder, "main.py"));
  const { context } = await build(RECIPE, folder);
  assert.ok(lstatSync(join(context, "main.py")).isSymbolicLink());
  assert.equal(readFileSync(join(context, "main.py"), "utf8"), "1");
});

test("a file that the environment names and the source lacks is a configuration fault with its path", async () => {
  const environment = { ...RECIPE, python: { requirements: "deps/requirements.txt", packages: [] } };
  const missing = await refusal(environment, source({ "main.py": "" }));
  assert.equal(missing.class, "configuration");
  assert.match(missing.message, /"deps\/requirements\.txt", which is not in the source folder/);
  const own: Environment = { kind: "dockerfile", dockerfile: "Dockerfile", context: ".", args: {}, env: {} };
  assert.match((await refusal(own, source({}))).message, /"Dockerfile"/);
  assert.match((await refusal({ ...RECIPE, source: "app" }, source({}))).message, /"app"/);
});

test("paths that leave the source are refused", async () => {
  for (const path of ["../other", "/etc/passwd", "a/../../b"]) {
    const folder = source({ "main.py": "" });
    const python = { requirements: path, packages: [] };
    assert.match((await refusal({ ...RECIPE, python }, folder)).message, /no path inside the source/);
    assert.match((await refusal({ ...RECIPE, source: path }, folder)).message, /no path inside the source/);
    const own: Environment = { kind: "dockerfile", dockerfile: path, context: path, args: {}, env: {} };
    assert.match((await refusal(own, folder)).message, /no path inside the source/);
  }
});

test("a run without a source cannot have an environment that takes files from it", async () => {
  assert.equal((await refusal(RECIPE, null)).code, "source-missing");
  const { context } = await build({ ...RECIPE, source: null }, null);
  assert.deepEqual(listing(context), []);
});

test("without images a base is only worth a warning, but packages to install are refused", async () => {
  const need = await request({ ...RECIPE, source: null }, null, false);
  assert.ok(need.ok && need.request === null);
  assert.match(need.warnings.join(), /python:3\.12-slim is not used/);
  const packages = { ...RECIPE, source: null, python: { requirements: null, packages: ["numpy"] } };
  assert.equal((await refusal(packages, null, false)).code, "spec-unsupported");
});

const PRIVATE: Environment = {
  ...RECIPE,
  source: null,
  python: { requirements: null, packages: ["ours"] },
  credentials: { "a.example": { user: "ci", secret: "PASSWORD" } },
};

async function secretsOf(environment: Environment, value: string) {
  const asked: string[] = [];
  const need = await imageRequest({
    pipeline: "wine",
    environment,
    source: null,
    contexts: join(root, "contexts"),
    capabilities: { ...MEMORY_CAPABILITIES, images: true },
    secretsFor: (named) => ({
      ids: named.map(({ id }) => id),
      read: async (id) => {
        asked.push(id);
        return Buffer.from(value);
      },
    }),
  });
  assert.ok(need.ok && need.request?.kind === "build", JSON.stringify(need));
  return { asked, secrets: need.request.secrets };
}

test("a build with credentials mounts files of installers, made of the values when the builder asks", async () => {
  const { asked, secrets } = await secretsOf(PRIVATE, "hidden\n");
  assert.deepEqual(secrets?.ids, ["netrc"]);
  assert.deepEqual(asked, [], "a cached build asks for no value");
  const text = Buffer.from(await secrets.read("netrc")).toString();
  assert.equal(text, "machine a.example login ci password hidden\n");
  assert.deepEqual(asked, ["PASSWORD"]);
  assert.equal((await secretsOf({ ...PRIVATE, credentials: undefined }, "x")).secrets, undefined);
});

test("a value that no installer could read fails the build by the name of its secret, never by the value", async () => {
  const { secrets } = await secretsOf(PRIVATE, "hid den");
  await assert.rejects(secrets!.read("netrc"), (error: BackendError) => {
    assert.equal(error.fault.code, "spec-invalid");
    assert.match(error.fault.message, /value of the secret PASSWORD/);
    assert.doesNotMatch(JSON.stringify(error.fault), /hid den/);
    return true;
  });
});
