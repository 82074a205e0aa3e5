import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";

const PACKAGE = resolve(import.meta.dirname, "..");
const TSC = resolve(PACKAGE, "../../node_modules/.bin/tsc");

let folder: string;
let app: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), "berth-sdk-package-"));
  app = join(folder, "app");
  npm(["pack", PACKAGE, "--pack-destination", folder], folder);
  const tarball = readdirSync(folder).find((name) => name.endsWith(".tgz"));
  mkdirSync(app);
  writeFileSync(join(app, "package.json"), '{ "name": "app", "private": true, "type": "module" }');
  npm(["install", "--offline", "--no-audit", "--no-fund", join(folder, tarball!)], app);
});
after(() => rmSync(folder, { recursive: true, force: true }));

function npm(args: readonly string[], cwd: string): void {
  const cache = join(folder, ".cache");
  execFileSync("npm", args, { cwd, stdio: "pipe", env: { ...process.env, npm_config_cache: cache } });
}

/** With what a project has by default, and neither Node's types nor any others. */
function typeCheck(name: string, text: string): string {
  writeFileSync(join(app, name), text);
  const options = ["--noEmit", "--strict", "--module", "nodenext", "--target", "es2022", "--types", "", name];
  const result = spawnSync(TSC, options, { cwd: app, encoding: "utf8" });
  return `${result.stdout}${result.stderr}`;
}

const SAMPLE = `import { BusinessError, log, metric, pipeline, progress, registerType, step } from "berth-sdk";

export async function train({ rows, seed }: { rows: { a: string }[]; seed: number }) {
  if (rows.length === 0) throw new BusinessError("no rows");
  progress(1, rows.length, "first");
  metric("auc", 0.5, { step: 1 });
  log.info("trained", { seed });
  return { seed, a: rows[0]!.a };
}
export const load = () => [{ a: "1" }];
registerType<number>("x-number", { load: (path) => path.length });
export default pipeline("sample", { params: { seed: 7 } }, ({ params }) => {
  step(train, { rows: step(load), seed: params.seed });
});
`;

test("what npm packs is the code and its types, and nothing else", () => {
  const installed = readdirSync(join(app, "node_modules/berth-sdk"));
  assert.deepEqual(installed.sort(), ["README.md", "compile.js", "package.json", "run-step.js", "src", "types"]);
});

test("a project that has the package installed is checked by tsc, also where it is wrong", () => {
  assert.equal(typeCheck("sample.ts", SAMPLE), "");
  assert.match(
    typeCheck("wrong.ts", SAMPLE.replace("params.seed }", '"7" }')),
    /wrong\.ts\(13,.*error TS[\s\S]*Type 'string' is not assignable to type .*number/,
  );
});

test("outside of Berth a step is a plain function, and what it says is printed", () => {
  writeFileSync(
    join(app, "main.mjs"),
    'import { idempotencyKey, load, log, metric, params, progress, save } from "berth-sdk";\n' +
      'progress(1, 2); metric("auc", 0.5); log.info("read", { rows: 3, from: "x" });\n' +
      'await save("rows.csv", [{ a: 1 }]); console.log(await load("rows.csv"), params(), idempotencyKey().length);\n',
  );
  for (const node of [process.execPath, "node"]) {
    const result = spawnSync(node, ["main.mjs"], { cwd: app, encoding: "utf8" });
    assert.equal(result.stdout, "[ { a: '1' } ] {} 64\n", result.stderr);
    assert.equal(result.stderr, "progress: 1/2\nmetric: auc = 0.5\nINFO read rows=3 from=x\n");
  }
});

test("in Berth a step gets Berth's own copy of the package, whichever the project has installed", () => {
  writeFileSync(join(app, "node_modules/berth-sdk/src/index.js"), "throw new Error('not this one');\n");
  writeFileSync(
    join(app, "step.mjs"),
    'import { BusinessError } from "berth-sdk"; export const f = () => { throw new BusinessError("ours") };\n',
  );
  const invocation = { module: "step.mjs", function: "f", inputs: [], outputs: [], values: {} };
  const result = spawnSync(process.execPath, [join(PACKAGE, "run-step.js")], {
    cwd: app,
    encoding: "utf8",
    env: { PATH: process.env.PATH, BERTH_INVOCATION: JSON.stringify(invocation) },
  });
  assert.deepEqual([result.status, result.stderr], [65, "business error: ours\n"]);
});
