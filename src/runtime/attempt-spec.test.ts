import assert from "node:assert/strict";
import { test } from "node:test";
import { MEMORY_CAPABILITIES } from "../backends/memory/memory-backend.ts";
import { step as plainStep } from "../pipeline/testing/step-plan.ts";
import type { Action, Environment, Plan, StepPlan } from "../protocol/plan.ts";
import { buildAttemptWork, type WorkOrder } from "./attempt-spec.ts";

const CONTAINERS = { ...MEMORY_CAPABILITIES, images: true, fixedPaths: true };
const PROCESSES = { ...MEMORY_CAPABILITIES, images: false, fixedPaths: false };

const IMAGE: Environment = { kind: "image", image: "busybox", source: null, env: {} };
const RECIPE: Environment = { kind: "recipe", base: "b", apt: [], python: null, node: null, source: "app", env: {} };

function step(more: Partial<StepPlan> = {}): StepPlan {
  return { ...plainStep("train"), action: { kind: "shell", script: "true" }, ...more };
}

function order(
  more: { step?: Partial<StepPlan>; environment?: Environment; plan?: Partial<Plan> } & Partial<
    Omit<WorkOrder, "step" | "plan">
  > = {},
): WorkOrder {
  const { step: stepMore, environment = IMAGE, plan: planMore, ...rest } = more;
  const it = step(stepMore);
  const prepare = step({
    name: "prepare",
    outputs: { rows: { path: "rows.csv", type: "csv", optional: false, when: "success" } },
  });
  const plan: Plan = {
    schema: 1,
    priority: 0,
    concurrency: null,
    name: "wine",
    description: null,
    params: {},
    mode: "parallel",
    timeoutMs: null,
    queueTimeoutMs: null,
    failFast: false,
    env: {},
    environments: { default: environment },
    worker: { pool: "default", labels: [], backend: null },
    steps: [prepare, it],
    ...planMore,
  };
  return {
    plan,
    step: it,
    stepRun: { key: "train", matrix: null, item: null, attempt: 2 },
    memoryBytes: null,
    run: { id: "run_1", number: 12, scope: "run_1.1", end: null },
    params: { seed: 7, "learning-rate": 0.5, note: "a'; rm -rf / #" },
    image: "sha256:abc",
    imageDigest: "sha256:def",
    inputs: [],
    folder: "/home/runs/1/attempts/x",
    secretsFolder: "/dev/shm/berth-1/x",
    source: "/home/runs/1/source",
    sdk: "/opt/berth/sdk",
    capabilities: CONTAINERS,
    ...rest,
  };
}

const action = (script: string): Action => ({ kind: "shell", script });

test("a shell script gets values by variables, never as part of its text", () => {
  const { spec } = buildAttemptWork(order({ step: { action: action('echo "${{ params.note }}"') } }));
  assert.deepEqual(spec.argv, ["sh", "-e", "-c", 'echo "${BERTH_PARAM_NOTE}"']);
  assert.equal(spec.env.BERTH_PARAM_NOTE, "a'; rm -rf / #");
});

test("a command gets values as whole arguments", () => {
  const argv = ["python3", "-m", "wine", "--note=${{ params.note }}"];
  const { spec } = buildAttemptWork(order({ step: { action: { kind: "command", argv } } }));
  assert.deepEqual(spec.argv, ["python3", "-m", "wine", "--note=a'; rm -rf / #"]);
});

test("every step knows its run, its place in it, and its parameters", () => {
  const stepRun = { key: "train[model=knn][3]", matrix: { model: "knn" }, item: { index: 3, count: 9 }, attempt: 2 };
  const { spec, ref } = buildAttemptWork(order({ stepRun }));
  assert.deepEqual(ref, { run: "run_1", stepRun: "train[model=knn][3]", attempt: 2, scope: "run_1.1" });
  const { BERTH_IDEMPOTENCY_KEY, ...env } = spec.env;
  assert.match(BERTH_IDEMPOTENCY_KEY!, /^[0-9a-f]{64}$/);
  assert.deepEqual(env, {
    BERTH_MESSAGES: "/berth/messages.jsonl",
    BERTH_PIPELINE: "wine",
    BERTH_STEP: "train",
    BERTH_STEP_RUN: "train[model=knn][3]",
    BERTH_ATTEMPT: "2",
    BERTH_RUN_ID: "run_1",
    BERTH_RUN_NUMBER: "12",
    BERTH_BATCH_INDEX: "3",
    BERTH_BATCH_COUNT: "9",
    BERTH_PARAMS: JSON.stringify({ seed: 7, "learning-rate": 0.5, note: "a'; rm -rf / #" }),
    BERTH_PARAM_SEED: "7",
    BERTH_PARAM_LEARNING_RATE: "0.5",
    BERTH_PARAM_NOTE: "a'; rm -rf / #",
    BERTH_MATRIX_MODEL: "knn",
  });
});

test("the idempotency key is the same for every attempt of a step run, and for no other step run", () => {
  const key = (stepRun: WorkOrder["stepRun"], id = "run_1") =>
    buildAttemptWork(order({ stepRun, run: { id, number: 1, scope: id, end: null } })).spec.env.BERTH_IDEMPOTENCY_KEY;
  const first = { key: "a", matrix: null, item: null, attempt: 1 };
  assert.equal(key(first), key({ ...first, attempt: 2 }));
  assert.notEqual(key(first), key({ ...first, key: "b" }));
  assert.notEqual(key(first), key(first, "run_2"));
});

test("a step's variables win over its environment's, those over the pipeline's, and Berth's over all", () => {
  const { spec } = buildAttemptWork(
    order({
      plan: { env: { A: "pipeline", B: "pipeline", C: "pipeline ${{ params.seed }}" } },
      environment: { ...IMAGE, env: { A: "environment", B: "environment" } },
      step: { env: { A: "step ${{ run.number }}", BERTH_STEP: "forged" } },
    }),
  );
  assert.equal(spec.env.A, "step 12");
  assert.equal(spec.env.B, "environment");
  assert.equal(spec.env.C, "pipeline 7");
  assert.equal(spec.env.BERTH_STEP, "train");
});

const FILES: Partial<StepPlan> = {
  inputs: { "big-table": { step: "prepare", artifact: "rows", gather: "single", type: "csv" } },
  outputs: { plots: { path: "plots/", type: "folder", optional: false, when: "success" } },
  batch: { step: "prepare", artifact: "rows", gather: "single", format: "auto", size: 1, parallel: 1 },
};

test("in a container paths are the same everywhere", () => {
  const { env } = buildAttemptWork(order({ step: FILES })).spec;
  assert.equal(env.BERTH_INPUT_BIG_TABLE, "/berth/in/big-table");
  assert.equal(env.BERTH_INPUT_BATCH, "/berth/in/batch");
  assert.equal(env.BERTH_OUTPUT_PLOTS, "/berth/out/plots");
});

test("as a process, paths are those of the attempt folder", () => {
  const { env, mounts, workingFolder } = buildAttemptWork(
    order({ step: FILES, environment: RECIPE, capabilities: PROCESSES, image: null }),
  ).spec;
  assert.equal(env.BERTH_INPUT_BIG_TABLE, "/home/runs/1/attempts/x/in/big-table");
  assert.equal(env.BERTH_OUTPUT_PLOTS, "/home/runs/1/attempts/x/out/plots");
  assert.deepEqual(mounts, []);
  assert.equal(workingFolder, "/home/runs/1/source/app");
});

test("a ready image gets the source mounted where the step starts; a built one has it inside", () => {
  const mounted = buildAttemptWork(order({ environment: { ...IMAGE, source: "." } })).spec;
  assert.deepEqual(mounted.mounts, [{ host: "/home/runs/1/source", inside: "/app" }]);
  assert.equal(mounted.workingFolder, "/app");
  const built = buildAttemptWork(order({ environment: RECIPE })).spec;
  assert.deepEqual([built.mounts, built.workingFolder], [[], null]);
});

test("a source that leads out of the source folder is never mounted or worked in", () => {
  for (const source of ["..", "../../etc", "/etc", "a/../../x"]) {
    assert.throws(() => buildAttemptWork(order({ environment: { ...IMAGE, source } })), /not inside the source/);
    const environment: Environment = { ...RECIPE, source };
    assert.throws(() => buildAttemptWork(order({ environment, capabilities: PROCESSES })), /not inside the source/);
  }
});

test("a Python function is called by the runner, with its declaration", () => {
  const python: Action = { kind: "python", module: "wine.steps", function: "train" };
  const stepRun = { key: "train[model=knn][3]", matrix: { model: "knn" }, item: { index: 3, count: 9 }, attempt: 1 };
  const { spec } = buildAttemptWork(order({ step: { ...FILES, action: python }, stepRun }));
  assert.deepEqual(spec.argv, ["python3", "-B", "/berth-sdk/run_step.py"]);
  assert.deepEqual(spec.mounts, [{ host: "/opt/berth/sdk/python", inside: "/berth-sdk" }]);
  assert.deepEqual(JSON.parse(spec.env.BERTH_INVOCATION!), {
    module: "wine.steps",
    function: "train",
    inputs: [
      { name: "big-table", type: "csv", path: "/berth/in/big-table" },
      { name: "batch", type: "csv", path: "/berth/in/batch" },
    ],
    outputs: [{ name: "plots", type: "folder", optional: false, path: "/berth/out/plots" }],
    values: { seed: 7, "learning-rate": 0.5, note: "a'; rm -rf / #", model: "knn", batch_index: 3, batch_count: 9 },
  });
  const process = buildAttemptWork(order({ step: { action: python }, capabilities: PROCESSES })).spec;
  assert.deepEqual([process.argv.at(-1), process.mounts], ["/opt/berth/sdk/python/run_step.py", []]);
});

test("a TypeScript function is called by the runner of its own SDK, without an image by the agent's own Node", () => {
  const typescript: Action = { kind: "typescript", module: "steps/train.ts", function: "train" };
  const { spec } = buildAttemptWork(order({ step: { ...FILES, action: typescript } }));
  assert.deepEqual(spec.argv, ["node", "/berth-sdk/run-step.js"]);
  assert.deepEqual(spec.mounts, [{ host: "/opt/berth/sdk/typescript", inside: "/berth-sdk" }]);
  const invocation = JSON.parse(spec.env.BERTH_INVOCATION!);
  assert.deepEqual([invocation.module, invocation.function], ["steps/train.ts", "train"]);
  const own = buildAttemptWork(order({ step: { action: typescript }, capabilities: PROCESSES })).spec;
  assert.deepEqual([own.argv, own.mounts], [[process.execPath, "/opt/berth/sdk/typescript/run-step.js"], []]);
});

test("args of a function are rendered, and a text that is one template keeps the type of its value", () => {
  const args = {
    seed: "${{ params.seed }}",
    text: "n ${{ params.seed }}",
    list: ["${{ params.seed }}", true],
    none: "${{ params.no }}",
  };
  const called: Action = { kind: "typescript", module: "a.ts", function: "f", args };
  const { spec } = buildAttemptWork(order({ step: { action: called }, params: { seed: 7 } }));
  const { values } = JSON.parse(spec.env.BERTH_INVOCATION!);
  assert.deepEqual(values, { seed: 7, text: "n 7", list: [7, true] });
});

test("the spec does not depend on the inputs' contents, so that it is known before they are", () => {
  const content = {
    kind: "file",
    digest: "a".repeat(64),
    size: 1,
    fileName: "x.json",
    contentType: "",
    fileCount: 1,
  } as const;
  const slice = { kind: "bytes", prefix: "", start: 0, end: 1, suffix: "" } as const;
  const inputs = [{ kind: "batch-item", name: "batch", content, slice } as const];
  assert.deepEqual(
    buildAttemptWork(order({ step: FILES, inputs })).spec,
    buildAttemptWork(order({ step: FILES })).spec,
  );
});
