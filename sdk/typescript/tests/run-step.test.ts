import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { type FunctionCall, runFunction } from "./run-function.ts";

/** One function in `steps.ts`, with everything of the SDK imported. */
function call(code: string, more: Partial<FunctionCall> = {}) {
  const head = `import * as berth from "berth-sdk";\n`;
  return runFunction({ target: "steps.ts:f", files: { "steps.ts": `${head}export ${code}\n` }, ...more });
}

test("inputs are read by their types, and values are those of the run, all in one object by name", () => {
  const result = call(
    `async function f({ rows, config, note, words, raw, path, seed, batchIndex, "learning-rate": a, learningRate, none = "x" }: any) {
       return [rows, config, note, words, [...raw], path.endsWith("/in/path"), seed, batchIndex, a === learningRate, none];
     }`,
    {
      inputs: {
        rows: { type: "csv", content: 'a,b\r\n1,"x, ""y""\nz"\r\n\r\n2,\r\n' },
        config: { type: "json", content: '{"deep": [1, null]}' },
        note: { type: "text", content: "täxt\r\n" },
        words: { type: "lines", content: "one\r\n\nthree" },
        raw: { type: "bytes", content: Buffer.from([0, 255]) },
        path: { type: "file", content: "" },
        none: { type: "json" },
      },
      values: { seed: 7, batch_index: 3, "learning-rate": 0.5 },
      outputs: { all: { type: "json" } },
    },
  );
  assert.equal(result.exitCode, 0, result.stderr);
  assert.deepEqual(JSON.parse(String(result.output("all"))), [
    [
      { a: "1", b: 'x, "y"\nz' },
      { a: "2", b: "" },
    ],
    { deep: [1, null] },
    "täxt\r\n",
    ["one\r", "", "three"],
    [0, 255],
    true,
    7,
    3,
    true,
    "x",
  ]);
});

test("outputs are written by their types, from an object by name or an array in the declared order", () => {
  const outputs = {
    rows: { type: "csv" },
    "big-one": { type: "json" },
    note: { type: "text" },
    words: { type: "lines" },
    raw: { type: "bytes" },
    none: { type: "text", optional: true },
  };
  const values = `[[{ a: 1, b: "x,y" }, { b: null, c: true }], new Map([["k", new Set([1])]]), "t", ["l1", "l2"], new Uint8Array([7, 8])`;
  const byName = call(
    `function f() { const [rows, bigOne, note, words, raw] = ${values}]; return { rows, bigOne, note, words, raw }; }`,
    { outputs },
  );
  const inOrder = call(`const f = async () => ${values}, undefined];`, { outputs });
  for (const result of [byName, inOrder]) {
    assert.equal(result.exitCode, 0, result.stderr);
    assert.equal(String(result.output("rows")), 'a,b,c\n1,"x,y",\n,,true\n');
    assert.deepEqual(JSON.parse(String(result.output("big-one"))), { k: [1] });
    assert.equal(String(result.output("note")), "t");
    assert.equal(String(result.output("words")), "l1\nl2\n");
    assert.deepEqual([...result.output("raw")!], [7, 8]);
    assert.equal(result.output("none"), null);
  }
});

test("what does not fit the declaration is told in a sentence, without a stack", () => {
  const two = { outputs: { a: { type: "json" }, b: { type: "json" } } };
  const cases: [string, Partial<FunctionCall>, RegExp][] = [
    ["function f() { return 1 }", {}, /steps\.ts:f returned a value, but the step declares no outputs/],
    ["function f() { return { a: 1, c: 2 } }", two, /returned c, but the step's outputs are a, b/],
    ["function f() { return { a: 1 } }", two, /returned no b; the step's outputs are a, b/],
    ["function f() { return [1] }", two, /returned an array of 1, but the step has 2 outputs.*in this order: a, b/],
    [
      "function f() { return { deep: [NaN] } }",
      { outputs: { a: { type: "json" } } },
      /deep\[0\] is NaN, which is not JSON/,
    ],
    [
      "function f() { return [undefined] }",
      { outputs: { a: { type: "json" } } },
      /\[0\] is undefined, which is not JSON/,
    ],
    [
      "function f() { return new Map([[1, Promise.resolve()]]) }",
      { outputs: { a: { type: "json" } } },
      /1 is a value of type Promise/,
    ],
    [
      "function f() {}",
      { outputs: { a: { type: "text" } } },
      /returned nothing for the output 'a', which is of type text/,
    ],
    ["function f() { return 7 }", { outputs: { a: { type: "text" } } }, /expected a text, got a number/],
    ["function f() { return 'x' }", { outputs: { a: { type: "csv" } } }, /expected a list of rows, got a string/],
    ["function f() { return 'no/such' }", { outputs: { a: { type: "file" } } }, /there is nothing at no\/such/],
    ["function f() { return {} }", { outputs: { a: { type: "pickle" } } }, /only Python reads and writes pickle/],
    ["function f() { return {} }", { outputs: { a: { type: "x-img" } } }, /the type x-img is not registered/],
    ["function g() {}", {}, /the module 'steps\.ts' has no 'f'; it exports g/],
    ["const f = 7;", {}, /steps\.ts:f is a number, which cannot be called/],
    ["function f(rows, seed) {}", {}, /takes 2 arguments, but a step's function gets one object: function f\(\{ rows/],
    ["function f() {}", { target: "other.ts:f" }, /there is no module 'other\.ts' in .*; is the source part of/],
    ["function f() {}", { target: "no-such-package/x.js:f" }, /there is no module 'no-such-package\/x\.js'/],
    ["function f({ a }) {}", { inputs: { a: { type: "json", content: "{" } } }, /the input 'a' cannot be read as json/],
    [
      "function f({ b }) {}",
      { inputs: { a: { type: "json" } } },
      /takes no argument 'a', but the step declares an input/,
    ],
    [
      "function f({ b }) {}",
      { values: { c: 1 } },
      /wants an argument 'b'.*other values: 'c'; where it may be left out/,
    ],
    [
      "function f({ a }) {}",
      { inputs: { a: { type: "csv", content: 'a\n"x' } } },
      /line 2: a quote that is opened there/,
    ],
    [
      "function f(all) {}",
      { inputs: { a: { type: "csv", content: 'a\n"1\n"\n\n1,2' } } },
      /line 5 has 2 cells, and the header has 1/,
    ],
    [
      "function f({ a }) {}",
      { inputs: { a: { type: "text", content: Buffer.from([255]) } } },
      /cannot be read as text/,
    ],
    ["enum E { A }\nexport function f() {}", {}, /enum.*Node runs TypeScript by stripping types/],
    ["* from './rows';\nexport function f() {}", {}, /imports name whole files, with their ending/],
    ["const f = () => new Promise(() => {});", {}, /waits for something that cannot happen any more/],
  ];
  for (const [code, more, expected] of cases) {
    const { exitCode, stderr, error } = call(code, more);
    assert.equal(exitCode, 1, `${code}: ${stderr}`);
    assert.match(stderr, /^berth: .*\n$/, code);
    assert.match(error?.message ?? "", expected, code);
    assert.equal(error!.type, "application");
  }
});

test("a business error exits with 65, wherever it is thrown, and others with 1 and their own stack", () => {
  for (const thrown of [
    `class Own extends berth.BusinessError {}\nexport function f() { throw new Own("no price") }`,
    `async function f() { await new Promise(() => setTimeout(() => { throw new berth.BusinessError("no price") }, 1)) }`,
  ]) {
    const { exitCode, error, stderr } = call(thrown);
    assert.deepEqual([exitCode, error], [65, { type: "business", message: "no price" }], stderr);
    assert.match(stderr, /^business error: no price$/m);
  }
  const crash = call(`function f() {\n  const rows: any = null;\n  return rows.length;\n}`);
  assert.equal(crash.exitCode, 1);
  assert.equal(crash.error!.message, "TypeError: Cannot read properties of null (reading 'length')");
  assert.match(crash.stderr, /steps\.ts:4:15/);
  assert.doesNotMatch(crash.stderr, /run-step\.js|node:internal/);
});

test("the step ends when its function has returned, whatever it leaves open", () => {
  const { exitCode, stdout } = call("function f() { setInterval(() => {}, 1000); console.log('done') }");
  assert.deepEqual([exitCode, stdout], [0, "done\n"]);
});

test("progress, metrics and what is known of outputs become lines of the message file", () => {
  const { messages, exitCode, stderr } = call(
    `function f() {
      berth.progress(3, 10, "rows"); berth.progress(4);
      berth.metric("auc", 0.93); berth.metric("loss", 0.5, { step: 4 });
      berth.output("model", { tags: { k: "v" } }); berth.output("model", { contentType: "a/b", tags: { l: "w" } });
      for (const wrong of [() => berth.metric("a", "1" as any), () => berth.progress(null as any)]) {
        try { wrong(); throw new Error("accepted") } catch (error) { if (!(error instanceof TypeError)) throw error }
      }
    }`,
  );
  assert.equal(exitCode, 0, stderr);
  assert.deepEqual(messages, [
    { type: "progress", done: 3, total: 10, message: "rows" },
    { type: "progress", done: 4 },
    { type: "metric", name: "auc", value: 0.93 },
    { type: "metric", name: "loss", value: 0.5, step: 4 },
    { type: "output", name: "model", tags: { k: "v" } },
    { type: "output", name: "model", contentType: "a/b", tags: { k: "v", l: "w" } },
  ]);
});

test("log lines are structured under Berth, whatever their fields are", () => {
  const { stderr, exitCode } = call(`function f() {
    const ring: any = {}; ring.ring = ring;
    berth.log.info("read", { rows: 3, error: new RangeError("far"), n: 1n, ring });
    berth.log.warning("x".repeat(100_000));
  }`);
  assert.equal(exitCode, 0, stderr);
  const [first, second] = stderr.split("\n");
  assert.equal(first![0], "\u001e");
  const { at, ...line } = JSON.parse(first!.slice(1));
  assert.match(at, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  assert.deepEqual(line, {
    level: "info",
    message: "read",
    fields: { rows: 3, error: "RangeError: far", n: 1, ring: { ring: "[ring]" } },
  });
  assert.ok(Buffer.byteLength(second!) < 64 * 1024);
  assert.equal(JSON.parse(second!.slice(1)).level, "warning");
});

test("a step knows its parameters, its batch, its key and its paths", () => {
  const { output, stderr } = call(
    `const f = ({ "big-in": _ }) => [berth.params(), berth.batch()!.index, berth.idempotencyKey(), berth.inputPath("big-in") !== berth.outputPath("r")];`,
    {
      inputs: { "big-in": { type: "file", content: "" }, batch: { type: "lines", content: "" } },
      outputs: { r: { type: "json" } },
      env: {
        BERTH_PARAMS: '{"seed":7}',
        BERTH_BATCH_INDEX: "2",
        BERTH_BATCH_COUNT: "9",
        BERTH_IDEMPOTENCY_KEY: "abc",
        BERTH_STEP_RUN: "step[2]",
      },
    },
  );
  assert.deepEqual(JSON.parse(String(output("r"))), [{ seed: 7 }, 2, "abc", true], stderr);
  assert.match(
    call(`const f = () => berth.inputPath("no");`, { env: { BERTH_STEP_RUN: "s" } }).stderr,
    /there is no input 'no': this step declares none of that name/,
  );
});

test("a type of the step's own is read and written by what it registered", () => {
  const register = `berth.registerType("x-up", {
    load: async (path) => (await readFile(path, "utf8")).toUpperCase(),
    save: (path, value: string) => writeFile(path, value + "!") });`;
  const files = {
    "steps.ts": `import * as berth from "berth-sdk"; import { readFile, writeFile } from "node:fs/promises";
      ${register} export const f = ({ word }: { word: string }) => word;`,
  };
  const more = { inputs: { word: { type: "x-up", content: "abc" } }, outputs: { out: { type: "x-up" } } };
  const result = runFunction({ target: "steps.ts:f", files, ...more });
  assert.equal(String(result.output("out")), "ABC!", result.stderr);
  assert.match(call(`const f = () => berth.registerType("img" as any, {});`).stderr, /is called x-name/);
});

test("a module may be a package of the working folder", () => {
  const files = {
    "node_modules/@acme/steps/package.json":
      '{"name":"@acme/steps","type":"module","exports":{"./total":"./total.js"}}',
    "node_modules/@acme/steps/total.js":
      'import { BusinessError } from "berth-sdk"; export const f = () => { throw new BusinessError("from a package") };',
  };
  assert.equal(runFunction({ target: "@acme/steps/total:f", files }).error?.message, "from a package");
});

const old = spawnSync("/usr/bin/node", ["--version"], { encoding: "utf8" }).stdout?.trim() ?? "";
const isOld = /^v(20|22\.(\d|1[0-7])\.)/.test(old);

test("an older Node runs JavaScript, and says what it needs for TypeScript", {
  skip: isOld ? false : "there is no older Node on this machine",
}, () => {
  const node = "/usr/bin/node";
  const code =
    'import { BusinessError } from "berth-sdk"; export const f = () => { throw new BusinessError("ran") };\n';
  const ran = runFunction({ target: "steps.mjs:f", files: { "steps.mjs": code }, node });
  assert.deepEqual([ran.exitCode, ran.error?.message], [65, "ran"], ran.stderr);
  const refused = runFunction({ target: "steps.ts:f", files: { "steps.ts": code }, node });
  assert.match(refused.error!.message, /is TypeScript, which Node v20.* does not run by itself: use an image with/);
});
