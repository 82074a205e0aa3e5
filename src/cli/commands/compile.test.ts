import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { runCaptured } from "../testing/run-captured.ts";

let root: string;
before(() => {
  root = mkdtempSync(join(tmpdir(), "berth-compile-test-"));
});
after(() => rmSync(root, { recursive: true, force: true }));

let count = 0;

/** A folder of its own with these files. */
function folder(files: Readonly<Record<string, string>>): string {
  const path = join(root, String(count++));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(path, name)), { recursive: true });
    writeFileSync(join(path, name), text);
  }
  return path;
}

const HEAD = 'import { each, matrix, pipeline, step } from "berth-sdk";\n';
/** A pipeline whose function begins at the fourth line. */
const described = (body: string, options = '{ environment: { image: "node:24", source: "." } }') =>
  `${HEAD}export const one = () => 1;\nexport default pipeline("p", ${options}, () => {\n${body}\n});\n`;

/** What is wrong with it, one line each. */
async function problemsOf(files: Readonly<Record<string, string>> | string): Promise<string[]> {
  const path = folder(typeof files === "string" ? { "pipeline.ts": files } : files);
  const { exitCode, stderr } = await runCaptured(["validate", join(path, "pipeline.ts")]);
  assert.equal(exitCode, 2, stderr);
  return stderr
    .trimEnd()
    .split("\n")
    .map((line) => line.replace(/^✗ /, "").replaceAll(`${path}/`, ""));
}

test("a pipeline in TypeScript becomes a pipeline file, the same each time, with nothing installed", async () => {
  const path = folder({
    "pipeline.ts": `${HEAD}import train from "./steps/train.ts";
      export function rows({ seed }: { seed: number }) { console.log("not part of it"); return [seed]; }
      export default pipeline("demo", { params: { seed: 7 }, mode: "serial" }, ({ params }) => {
        console.log("printed while compiling");
        const made = step(rows, { seed: params.seed });
        step(train, { rows: made, seed2: params.seed, text: \`n \${params.seed}\`, model: matrix(["a", "b"]) }, { retry: 2 });
      });`,
    "steps/train.ts": "export default function train(given: object) { return given; }",
  });
  const first = await runCaptured(["compile", join(path, "pipeline.ts")]);
  assert.equal(first.exitCode, 0, first.stderr);
  assert.equal(
    first.stdout,
    `# Made from pipeline.ts by berth compile: change that file, and compile it again.
name: demo
params:
  seed: 7
environment:
  base: node:24-slim
  source: .
mode: serial
steps:
  rows:
    typescript: pipeline.ts:rows
    outputs:
      result:
        type: json
  train:
    typescript: steps/train.ts:default
    args:
      seed2: \${{ params.seed }}
      text: n \${{ params.seed }}
    matrix:
      model:
        - a
        - b
    inputs:
      rows: rows.result
    retry: 2
    outputs:
      result:
        type: json
        optional: true
`,
  );
  const output = join(path, "pipeline.yaml");
  const written = await runCaptured(["compile", join(path, "pipeline.ts"), "-o", output]);
  assert.equal(written.exitCode, 0, written.stderr);
  assert.equal(readFileSync(output, "utf8"), first.stdout);
  assert.equal((await runCaptured(["validate", output])).exitCode, 0);
  const check = () => runCaptured(["compile", join(path, "pipeline.ts"), "-o", output, "--check"]);
  assert.equal((await check()).exitCode, 0);
  writeFileSync(output, first.stdout.replace("seed: 7", "seed: 8"));
  const stale = await check();
  assert.deepEqual([stale.exitCode, /is not what .*pipeline\.ts describes/.test(stale.stderr)], [2, true]);
  assert.match(readFileSync(output, "utf8"), /seed: 8/);
});

test("an output or parameter that is not there is an error, and not left out of what is wired", async () => {
  const outputs = "{}, { outputs: { train: { type: 'csv' }, test: { type: 'csv' } } }";
  assert.deepEqual(
    await problemsOf(
      described(
        `  const { outputs } = step(one, ${outputs}) as any;\n  step(one, { rows: outputs.trian }, { name: 'two' });`,
      ),
    ),
    ['pipeline.ts:5:29: TypeError: the step "one" has no output "trian": it has train, test'],
  );
  assert.deepEqual(
    await problemsOf({
      "pipeline.ts": `${HEAD}export const one = (given: object) => given;
export default pipeline("p", { params: { seed: 7 } }, ({ params }: any) => void step(one, { seed: params.sed }));\n`,
    }),
    ['pipeline.ts:3:106: TypeError: the pipeline has no parameter "sed": it has seed'],
  );
});

test("what is wrong with a step is told at its place in the code", async () => {
  assert.deepEqual(await problemsOf(described("  step(one, {}, { needs: ['two'] });\n  step(one, {});")), [
    "pipeline.ts:5:3 steps.one: a second step of this name: give it another, { name: … }",
  ]);
  assert.deepEqual(await problemsOf(described("  step(one, {}, { needs: ['two'] });")), [
    'pipeline.ts:4:3 steps.one.needs[0]: there is no step "two"',
  ]);
  assert.deepEqual(
    await problemsOf(described("  const hidden = () => 1;\n  step(hidden);\n  step(() => 2, {}, { name: 'x' });")),
    [
      'pipeline.ts:5:3 steps.hidden: "hidden" is not exported, so a step could not load it: write export function hidden',
      "pipeline.ts:6:3 steps.x: the function is not exported, so a step could not load it: write export function name",
    ],
  );
  assert.deepEqual(
    await problemsOf(
      described("  step(one, { a: { b: 1 }, c: each(step('s', { run: 'x', outputs: ['o', 'p'] })) } as any);"),
    ),
    [
      'pipeline.ts:4:3 steps.one: the argument "a" is an object (Object): hand over outputs, parameters, matrix(…), each(…), or texts, numbers and lists of them',
      'pipeline.ts:4:3 steps.one: a part of a batch is handed over as "batch", not as "c"',
      'pipeline.ts:4:3 steps.one: the step "s" has several outputs: say which, such as s.outputs.o',
    ],
  );
});

test("a step that is added in another file is told at the place from where it was asked for", async () => {
  const files = {
    "pipeline.ts": `${HEAD}import { add } from "./add.ts";\nexport default pipeline("p", { environment: { image: "x" } }, () => {\n  add();\n});\n`,
    "add.ts":
      'import { step } from "berth-sdk";\nexport const add = () => step("a", { needs: ["nowhere"], run: "x" });\n',
  };
  assert.deepEqual(await problemsOf(files), ['pipeline.ts:4:3 steps.a.needs[0]: there is no step "nowhere"']);
});

test("functions are found where they will be for the step, or it is said why they will not", async () => {
  const compiled = async (source: string, files: Readonly<Record<string, string>>) => {
    const text = `${HEAD}import { f } from "./src/all.ts";\nimport { g } from "some-package/g";
      export default pipeline("p", { environment: { image: "node:24"${source} } }, () => { step(f); step(g); });`;
    const path = folder({ "pipeline.ts": text, ...files });
    return runCaptured(["compile", join(path, "pipeline.ts")]);
  };
  const files = {
    "src/all.ts": 'export * from "./deep/f.ts";',
    "src/deep/f.ts": "export const f = () => 1;",
    "node_modules/some-package/package.json": '{ "name": "some-package", "exports": { "./g": "./lib/g.js" } }',
    "node_modules/some-package/lib/g.js": "exports.g = function g() {};",
  };
  const inside = await compiled(', source: "src"', files);
  assert.match(inside.stdout, /typescript: deep\/f\.ts:f\n/, inside.stderr);
  assert.match(inside.stdout, /typescript: some-package\/g:g\n/);
  assert.match(
    (await compiled("", files)).stderr,
    /steps\.f: its environment has no source, so "f" would not be there/,
  );
  const other = await compiled(', source: "other"', files);
  assert.match(other.stderr, /"f" is outside of the source of its environment, other: src\/deep\/f\.ts/);
});

test("a program that fails, describes nothing or is no program is an error that says where", async () => {
  assert.deepEqual(await problemsOf("const rows: any = null;\n\nrows.length;\n"), [
    "pipeline.ts:3:6: TypeError: Cannot read properties of null (reading 'length')",
  ]);
  assert.match(
    (await problemsOf(`${HEAD}export default pipeline("p", {}, () => {\n  throw new RangeError("no");\n});`)).join(),
    /^pipeline\.ts:3:9: RangeError: no$/,
  );
  assert.match((await problemsOf("export const a = ;\n")).join("\n"), /^pipeline\.ts:1:\d+: SyntaxError: /);
  assert.match(
    (await problemsOf("export const a = 1;\n")).join(),
    /pipeline\.ts exports no pipeline: write export default/,
  );
  assert.match(
    (await problemsOf(`${HEAD}export const [a, b] = [1, 2].map(() => pipeline("p", {}, () => {}));`)).join(),
    /exports several pipelines \(a, b\)/,
  );
  assert.match((await problemsOf('import "./nowhere.ts";\n')).join(), /Cannot find module '.*nowhere\.ts'/);
  assert.match(
    (await problemsOf(`${HEAD}step("a", { run: "x" });\n`)).join(),
    /^pipeline\.ts:2:1: Error: step\(\) is only called in/,
  );
  assert.match(
    (await problemsOf(`${HEAD}export default pipeline("p", {}, async () => {});`)).join(),
    /it is not async/,
  );
  const exits = folder({ "pipeline.ts": "process.exit(7);\n" });
  const ended = await runCaptured(["run", join(exits, "pipeline.ts")]);
  assert.match(ended.stderr, /pipeline\.ts ended with 7 before it had described a pipeline/);
  const yaml = await runCaptured(["compile", join(folder({ "p.yaml": "name: p\n" }), "p.yaml")]);
  assert.match(yaml.stderr, /is no program that describes a pipeline/);
});

test("a pipeline file is not written where its paths would lead elsewhere", async () => {
  const path = folder({ "pipeline.ts": described("  step(one);"), "other/x": "" });
  const { exitCode, stderr } = await runCaptured([
    "compile",
    join(path, "pipeline.ts"),
    "-o",
    join(path, "other/p.yaml"),
  ]);
  assert.deepEqual([exitCode, /is in another folder than/.test(stderr)], [2, true], stderr);
});
