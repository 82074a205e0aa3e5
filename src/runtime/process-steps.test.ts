import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";
import type { ExecutionBackend } from "../backends/execution-backend.ts";
import { processBackend } from "../backends/process/process-backend.ts";
import { step as plainStep } from "../pipeline/testing/step-plan.ts";
import type { Action, Plan, StepPlan } from "../protocol/plan.ts";
import { removeAttemptFolder } from "./attempt-folder.ts";
import { buildAttemptWork } from "./attempt-spec.ts";
import type { StagedInput } from "./attempt-work.ts";
import { runAttempt } from "./run-attempt.ts";
import { secretsParent } from "./secret-folder.ts";
import { type RuntimeFixture, runtimeFixture } from "./testing/runtime-fixture.ts";

/** Real steps as real processes: what docs/steps.md promises. */

const never = new AbortController().signal;
const SDK = resolve(import.meta.dirname, "../../sdk");

interface Step extends Partial<Omit<StepPlan, "action">> {
  readonly action: Action;
  readonly source?: Readonly<Record<string, string>>;
  readonly staged?: readonly StagedInput[];
}

let count = 0;

/** Runs one step of a pipeline of its own to its end, as an agent would. */
async function run(fixture: RuntimeFixture<ExecutionBackend>, { action, source = {}, staged = [], ...more }: Step) {
  const folder = join(fixture.root, `source-${count++}`);
  mkdirSync(folder);
  for (const [name, text] of Object.entries(source)) writeFileSync(join(folder, name), text);
  const step: StepPlan = { ...plainStep("train"), action, ...more };
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
    environments: { default: { kind: "recipe", base: "x", apt: [], python: null, node: null, source: ".", env: {} } },
    worker: { pool: "default", labels: [], backend: null },
    steps: [step],
  };
  const work = buildAttemptWork({
    plan,
    step,
    stepRun: { key: `train-${count}`, matrix: null, item: null, attempt: 1 },
    memoryBytes: null,
    run: { id: "run_1", number: 1, scope: "run_1", end: null },
    params: { seed: 7 },
    image: null,
    imageDigest: null,
    inputs: staged,
    folder: join(fixture.root, "attempts", String(count)),
    secretsFolder: join(secretsParent(fixture.root), String(count)),
    source: folder,
    sdk: SDK,
    capabilities: fixture.context.capabilities,
  });
  const result = await runAttempt(fixture.context, work, { onPhase: () => {} }, never);
  const logs = await Promise.all(
    (["stdout", "stderr"] as const).map(async (stream) => {
      const chunks = await Array.fromAsync(
        fixture.context.session.logs(result.handle!, stream, { offset: 0, follow: false }),
      );
      return Buffer.concat(chunks).toString();
    }),
  );
  await fixture.context.session.release(result.handle!);
  await removeAttemptFolder(work.spec.folder);
  return { ...result, stdout: logs[0]!, stderr: logs[1]! };
}

const output = (path: string, type: StepPlan["outputs"][string]["type"] = "file") =>
  ({ path, type, optional: false, when: "success" }) as const;

test("a shell step reads its inputs and writes its outputs by their variables", async () => {
  await using fixture = await runtimeFixture(processBackend());
  const content = await fixture.store("3\n1\n2\n");
  const result = await run(fixture, {
    action: {
      kind: "shell",
      script: 'sort "$BERTH_INPUT_ROWS" > "$BERTH_OUTPUT_SORTED"; echo "seed ${{ params.seed }}"; cat hello.txt',
    },
    source: { "hello.txt": "from the source\n" },
    inputs: { rows: { step: "x", artifact: "y", gather: "single", type: "file" } },
    staged: [{ kind: "content", name: "rows", content }],
    outputs: { sorted: output("sorted.txt") },
  });
  assert.equal(result.outcome.state, "succeeded", JSON.stringify(result));
  assert.equal(result.stdout, "seed 7\nfrom the source\n");
  assert.equal(readFileSync(fixture.cache.find(result.outputs.sorted!.digest, 6)!, "utf8"), "1\n2\n3\n");
});

test("a Python function gets its inputs and parameters, and what it returns is its output", async () => {
  await using fixture = await runtimeFixture(processBackend());
  const content = await fixture.store("a,b\n1,2\n3,4\n");
  const result = await run(fixture, {
    action: { kind: "python", module: "steps", function: "total" },
    source: {
      "steps.py": "def total(rows, seed):\n    print(seed)\n    return {'sum': sum(int(row['b']) for row in rows)}\n",
    },
    inputs: { rows: { step: "x", artifact: "y", gather: "single", type: "csv" } },
    staged: [{ kind: "content", name: "rows", content }],
    outputs: { total: output("total.json", "json") },
  });
  assert.equal(result.outcome.state, "succeeded", result.stderr);
  assert.equal(result.stdout, "7\n");
  assert.equal(readFileSync(fixture.cache.find(result.outputs.total!.digest, null)!, "utf8"), '{"sum":6}');
});

test("a Python step's business error and its other errors are told in their own words", async () => {
  await using fixture = await runtimeFixture(processBackend());
  const source = {
    "steps.py":
      "from berth import BusinessError\ndef rule(): raise BusinessError('no price')\ndef crash(): return 1 / 0\n",
  };
  const rule = await run(fixture, { action: { kind: "python", module: "steps", function: "rule" }, source });
  assert.deepEqual([rule.outcome.fault?.code, rule.outcome.fault?.message], ["business", "no price"]);
  const crash = await run(fixture, { action: { kind: "python", module: "steps", function: "crash" }, source });
  assert.deepEqual(
    [crash.outcome.fault?.code, crash.outcome.fault?.message],
    ["exit-nonzero", "ZeroDivisionError: division by zero"],
  );
});

test("a TypeScript function gets its inputs and parameters, and what it returns is its output", async () => {
  await using fixture = await runtimeFixture(processBackend());
  const content = await fixture.store("a,b\n1,2\n3,4\n");
  const result = await run(fixture, {
    action: { kind: "typescript", module: "steps.ts", function: "total" },
    source: {
      "steps.ts": `import { log } from "berth-sdk";
        type Row = Record<"a" | "b", string>;
        export async function total({ rows, seed }: { rows: Row[]; seed: number }) {
          console.log(seed);
          return { sum: rows.reduce((sum, row) => sum + Number(row.b), 0) };
        }`,
    },
    inputs: { rows: { step: "x", artifact: "y", gather: "single", type: "csv" } },
    staged: [{ kind: "content", name: "rows", content }],
    outputs: { total: output("total.json", "json") },
  });
  assert.equal(result.outcome.state, "succeeded", result.stderr);
  assert.equal(result.stdout, "7\n");
  assert.equal(readFileSync(fixture.cache.find(result.outputs.total!.digest, null)!, "utf8"), '{"sum":6}');
});

test("a TypeScript step's business error and its other errors are told in their own words", async () => {
  await using fixture = await runtimeFixture(processBackend());
  const source = {
    "steps.ts": `import { BusinessError } from "berth-sdk";
      export function rule() { throw new BusinessError("no price"); }
      export function crash() { return (undefined as any).price; }`,
  };
  const rule = await run(fixture, { action: { kind: "typescript", module: "steps.ts", function: "rule" }, source });
  assert.deepEqual([rule.outcome.fault?.code, rule.outcome.fault?.message], ["business", "no price"]);
  const crash = await run(fixture, { action: { kind: "typescript", module: "steps.ts", function: "crash" }, source });
  assert.deepEqual(
    [crash.outcome.fault?.code, crash.outcome.fault?.message],
    ["exit-nonzero", "TypeError: Cannot read properties of undefined (reading 'price')"],
  );
});

test("a command that does not exist is a bad entry point, and a wrong exit code the step's own", async () => {
  await using fixture = await runtimeFixture(processBackend());
  const missing = await run(fixture, { action: { kind: "command", argv: ["no-such-program"] } });
  assert.equal(missing.outcome.fault?.code, "bad-entrypoint");
  const failing = await run(fixture, { action: { kind: "shell", script: "false; echo not reached" } });
  assert.deepEqual([failing.outcome.exitCode, failing.stdout], [1, ""]);
});
