import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { DEFAULT_RETRY, Plan } from "../protocol/plan.ts";
import { pipelineJsonSchema } from "./json-schema.ts";
import { checkMapping } from "./payload-mapping.ts";
import { compile, ENVIRONMENT, problemsInSteps, warningsOf } from "./testing/compile-text.ts";

test("a small file becomes a plan with every default filled in", () => {
  const plan = compile(`
name: wine
params: { seed: 7 }
environment: { base: "python:3.12-slim" }
steps:
  prepare: { run: make, outputs: { train: train.csv } }
  train: { python: "wine.steps:train", inputs: { data: prepare.train }, outputs: [model] }
`);
  assert.deepEqual(Plan.parse(plan), plan);
  assert.deepEqual(plan.params.seed, {
    type: "integer",
    default: 7,
    required: false,
    description: null,
    choices: null,
  });
  assert.deepEqual(plan.environments, {
    default: { kind: "recipe", base: "python:3.12-slim", apt: [], python: null, node: null, source: null, env: {} },
  });
  assert.deepEqual(plan.worker, { pool: "default", labels: [], backend: null });
  assert.deepEqual(plan.steps[1], {
    name: "train",
    environment: "default",
    needs: ["prepare"],
    matrix: null,
    batch: null,
    action: { kind: "python", module: "wine.steps", function: "train" },
    env: {},
    inputs: { data: { step: "prepare", artifact: "train", gather: "single", type: "csv" } },
    outputs: { model: { path: "model.json", type: "json", optional: false, when: "success" } },
    retry: DEFAULT_RETRY,
    cache: null,
    phase: "main",
    when: null,
    allowFailure: false,
    failFast: null,
    resources: { cpu: null, memoryBytes: null, timeoutMs: null, queueTimeoutMs: null, imageTimeoutMs: null },
    network: "run",
  });
});

test("JSON is read as well, with tabs and all", () => {
  const plan = compile(
    `{\n\t"name": "p",\n\t"environment": {"image": "x"},\n\t"steps": {"a": {"command": ["true"]}}\n}`,
  );
  assert.deepEqual(plan.steps[0]!.action, { kind: "command", argv: ["true"] });
});

test("every example compiles without a warning", () => {
  const folder = resolve(import.meta.dirname, "../../examples");
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".yaml"));
  assert.ok(files.length >= 4, files.join());
  for (const file of files) assert.deepEqual(warningsOf(readFileSync(join(folder, file), "utf8")), [], file);
});

test("the whole pipelines of the reference compile without a warning", () => {
  const pages = ["pipeline-file.md", "schedules-and-triggers.md"];
  const read = (page: string) => readFileSync(resolve(import.meta.dirname, "../../docs", page), "utf8");
  const text = pages.map(read).join("\n");
  const blocks = [...text.matchAll(/^```yaml\n([\s\S]*?)^```/gm)].map((match) => match[1]!);
  const whole = blocks.filter((block) => /^name:/m.test(block) && /^steps:/m.test(block));
  assert.ok(whole.length > 0);
  for (const block of whole) assert.deepEqual(warningsOf(block), []);
});

test("the page on triggers maps messages onto the parameters of its own example", () => {
  const text = readFileSync(resolve(import.meta.dirname, "../../docs/schedules-and-triggers.md"), "utf8");
  const plan = compile(/^```yaml\n(name:[\s\S]*?)^```/m.exec(text)![1]!);
  const { default: environment } = plan.environments;
  assert.ok(environment?.kind === "image" && environment.source === ".", "its command is a file of the source folder");
  const commands = [...text.matchAll(/^berth triggers create .*? --map (\w+)=(\S+)/gm)];
  assert.ok(commands.length > 0);
  for (const [, name, expression] of commands) {
    assert.deepEqual(checkMapping({ params: { [name!]: expression! }, when: null }, plan), []);
  }
});

test("every key of the format is in the reference", () => {
  const text = readFileSync(resolve(import.meta.dirname, "../../docs/pipeline-file.md"), "utf8");
  const keys = new Set(JSON.stringify(pipelineJsonSchema()).match(/"properties":\{"(\w+)"|,"(\w+)":\{"description"/g));
  const names = [...keys].map(
    (match) => /"(\w+)":(\{"description")?$/.exec(match)?.[1] ?? /\{"(\w+)"$/.exec(match)![1]!,
  );
  assert.ok(names.length > 30, names.join());
  for (const name of names) assert.ok(text.includes(`\`${name}\``), `${name} is missing in docs/pipeline-file.md`);
});

test("serial mode chains steps in the order of the file; parallel mode follows needs and inputs", () => {
  const steps =
    "steps: { a: { run: x, outputs: { o: o } }, b: { run: x }, c: { run: x, inputs: { o: a.o }, needs: [b] } }";
  const needs = (mode: string) =>
    compile(`name: p\n${ENVIRONMENT}\nmode: ${mode}\n${steps}`).steps.map((each) => each.needs);
  assert.deepEqual(needs("parallel"), [[], [], ["b", "a"]]);
  assert.deepEqual(needs("serial"), [[], ["a"], ["b", "a"]]);
});

test("a matrix becomes its combinations, the last dimension changing fastest", () => {
  const plan = compile(`name: p\n${ENVIRONMENT}\nsteps: { a: { run: x, matrix: { m: [a, b], n: [1, true] } } }`);
  assert.deepEqual(plan.steps[0]!.matrix, [
    { m: "a", n: 1 },
    { m: "a", n: true },
    { m: "b", n: 1 },
    { m: "b", n: true },
  ]);
});

test("outputs of batch and matrix steps are gathered, as a folder unless said otherwise", () => {
  const plan = compile(`
name: p
${ENVIRONMENT}
steps:
  a: { run: x, outputs: { rows: rows.csv } }
  b: { run: x, batch: { over: a.rows, size: 10 }, outputs: { part: part.csv } }
  c: { run: x, inputs: { all: b.part, joined: { from: b.part, gather: csv }, raw: { from: b.part, gather: lines } } }
  d: { run: x, batch: { over: b.part, format: csv, parallel: 2 } }
  e: { run: x, batch: { over: b.part } }
`);
  const byName = new Map(plan.steps.map((step) => [step.name, step]));
  assert.deepEqual(byName.get("b")!.batch, {
    step: "a",
    artifact: "rows",
    gather: "single",
    format: "auto",
    size: 10,
    parallel: 1000,
  });
  assert.deepEqual(byName.get("c")!.inputs, {
    all: { step: "b", artifact: "part", gather: "folder", type: "folder" },
    joined: { step: "b", artifact: "part", gather: "csv", type: "csv" },
    raw: { step: "b", artifact: "part", gather: "lines", type: "text" },
  });
  assert.equal(byName.get("d")!.batch!.gather, "csv");
  assert.equal(byName.get("e")!.batch!.gather, "folder");
});

test("the type of an output follows from its path, and its path from its type", () => {
  const outputs =
    "{ a: x/a.json, b: b.CSV, c: notes.txt, d: m.pkl, e: plots/, f: f.bin, g: { type: pickle }, h: { type: folder }, i: t.parquet, j: { type: npz }, k: { type: x-image }, l: { path: l/, type: x-model } }";
  const plan = compile(`name: p\n${ENVIRONMENT}\nsteps: { s: { run: x, outputs: ${outputs} } }`);
  const shown = Object.entries(plan.steps[0]!.outputs).map(([name, { path, type }]) => `${name} ${path} ${type}`);
  assert.deepEqual(shown, [
    "a x/a.json json",
    "b b.CSV csv",
    "c notes.txt text",
    "d m.pkl file",
    "e plots folder",
    "f f.bin file",
    "g g.pkl pickle",
    "h h folder",
    "i t.parquet parquet",
    "j j.npz npz",
    "k k x-image",
    "l l x-model",
  ]);
});

test("a list of outputs names them by their files", () => {
  const plan = compile(`name: p\n${ENVIRONMENT}\nsteps: { s: { run: x, outputs: [train.csv, out/plots/] } }`);
  assert.deepEqual(Object.keys(plan.steps[0]!.outputs), ["train", "plots"]);
  assert.match(
    problemsInSteps("{ s: { run: x, outputs: [a.csv, b/a.txt] } }").join("\n"),
    /\[1\]: a second output "a"/,
  );
  assert.match(problemsInSteps("{ s: { run: x, outputs: [1.csv] } }").join(), /"1.csv" gives no name/);
});

test("texts in variables and arguments stay as they are written", () => {
  const plan = compile(
    `name: p\n${ENVIRONMENT}\nenv: { V: 1.10, B: yes, H: 0x1F, T: true, X: &v 2.50, Y: *v }\nsteps: { s: { command: [run, 1.0] } }`,
  );
  assert.deepEqual(plan.env, { V: "1.10", B: "yes", H: "0x1F", T: "true", X: "2.50", Y: "2.50" });
  assert.deepEqual(plan.steps[0]!.action, { kind: "command", argv: ["run", "1.0"] });
});

test("environments are named, chosen, or belong to one step; those that no step uses are left out with a warning", () => {
  const text = `
name: p
environment: py
environments:
  py: { image: python }
  spare: { image: spare }
steps:
  a: { run: x }
  b: { run: x, environment: { dockerfile: Dockerfile, args: { V: "1" } } }
`;
  const plan = compile(text);
  assert.deepEqual(Object.keys(plan.environments), ["py", "b"]);
  assert.deepEqual(
    plan.steps.map(({ environment }) => environment),
    ["py", "b"],
  );
  assert.deepEqual(plan.environments.b, {
    kind: "dockerfile",
    dockerfile: "Dockerfile",
    context: ".",
    args: { V: "1" },
    env: {},
  });
  assert.deepEqual(warningsOf(text), ["p.yaml:6:10 environments.spare: no step uses this environment"]);
});

test("GPUs and disk are in the plan only where they are asked for, so that other plans stay what they were", () => {
  const resources = (text: string) =>
    compile(`name: p\n${ENVIRONMENT}\nsteps: { s: { run: x, resources: ${text} } }`).steps[0]!.resources;
  const { gpus, diskBytes } = resources("{ gpu: 2, disk: 20GiB }");
  assert.deepEqual([gpus, diskBytes], [2, 20 * 2 ** 30]);
  assert.deepEqual(Object.keys(resources("{ gpu: 0 }")), Object.keys(resources("{}")));
  assert.ok(!("gpus" in resources("{}")) && !("io" in resources("{}")));
  assert.deepEqual(resources("{ io: { read: 50MiB } }").io, {
    readBytesPerSecond: 50 * 2 ** 20,
    writeBytesPerSecond: null,
  });
});

test("sizes and durations are read with their units", () => {
  const plan = compile(
    `name: p\n${ENVIRONMENT}\nsteps: { s: { run: x, resources: { cpu: 0.5, memory: 1.5GiB, timeout: 10m } } }`,
  );
  assert.deepEqual(plan.steps[0]!.resources, {
    cpu: 0.5,
    memoryBytes: 1_610_612_736,
    timeoutMs: 600_000,
    queueTimeoutMs: null,
    imageTimeoutMs: null,
  });
});
