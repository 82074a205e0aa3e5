import { basename } from "node:path";
import type { AttemptSpec } from "../backends/execution-backend.ts";
import { type BatchFormat, batchFormat } from "../pipeline/batch.ts";
import { compileShell, renderText, renderValue, type TemplateValues } from "../pipeline/template.ts";
import type { Scalar } from "../protocol/names.ts";
import type { Action, ArtifactType, BatchPlan, FunctionArgs, Plan } from "../protocol/plan.ts";
import type { WorkOrder } from "./attempt-spec.ts";
import { sdkFolderOf } from "./working-folder.ts";

/** What is executed, and the variables that it needs beside those that every step has. */
export interface StepArgv {
  readonly argv: AttemptSpec["argv"];
  readonly env: Readonly<Record<string, string>>;
}

/** Values reach a command as arguments or variables; never as part of what a shell or Python reads as code. */
export function stepArgv(order: WorkOrder, values: TemplateValues): StepArgv {
  const { action } = order.step;
  if (action.kind === "shell") {
    const { script, env } = compileShell(action.script);
    const rendered = Object.entries(env).map(([name, text]) => [name, renderText(text, values)]);
    return { argv: ["sh", "-e", "-c", script], env: Object.fromEntries(rendered) };
  }
  if (action.kind === "command") {
    const [program, ...rest] = action.argv.map((argument) => renderText(argument, values));
    return { argv: [program!, ...rest], env: {} };
  }
  return {
    argv: runnerArgv(order, action.kind),
    env: { BERTH_INVOCATION: JSON.stringify(invocationOf(order, action, values)) },
  };
}

function runnerArgv(order: WorkOrder, language: "python" | "typescript"): AttemptSpec["argv"] {
  const sdk = sdkFolderOf(order, language);
  // -B: the source may be shared by the steps of a run, so nothing is written beside it.
  if (language === "python") return ["python3", "-B", `${sdk}/run_step.py`];
  // Without an image it is the Node of this process, which runs TypeScript, and not whatever the machine has.
  return [order.capabilities.images ? "node" : process.execPath, `${sdk}/run-step.js`];
}

/** What sdk/python/berth/invocation.py and sdk/typescript/src/invocation.js read. */
function invocationOf(
  { plan, step, stepRun, params }: WorkOrder,
  action: Extract<Action, { kind: "python" | "typescript" }>,
  values: TemplateValues,
) {
  const batch =
    step.batch === null ? [] : [{ name: "batch", type: batchType(plan, step.batch), path: values.inputs.batch }];
  return {
    module: action.module,
    function: action.function,
    inputs: [
      ...Object.entries(step.inputs).map(([name, { type }]) => ({ name, type, path: values.inputs[name] })),
      ...batch,
    ],
    outputs: Object.entries(step.outputs).map(([name, { type, optional }]) => ({
      name,
      type,
      optional,
      path: values.outputs[name],
    })),
    values: {
      ...params,
      ...stepRun.matrix,
      ...renderArgs(action.args ?? {}, values),
      ...(stepRun.item === null ? {} : { batch_index: stepRun.item.index, batch_count: stepRun.item.count }),
    },
  };
}

function renderArgs(args: FunctionArgs, values: TemplateValues): Record<string, FunctionArgs[string]> {
  const rendered = (value: Scalar) => (typeof value === "string" ? renderValue(value, values) : value);
  const all = Object.entries(args).map(([name, value]) => [
    name,
    Array.isArray(value) ? value.map((item) => rendered(item) ?? "") : rendered(value),
  ]);
  return Object.fromEntries(all.filter(([, value]) => value !== undefined));
}

/**
 * How a function gets its part of a batch: as rows, array items, lines, or a folder with its files. Told by the
 * producer's declaration, since the artifact itself may not exist yet.
 */
function batchType(plan: Plan, batch: BatchPlan): ArtifactType | BatchFormat {
  const { type, path } = plan.steps.find(({ name }) => name === batch.step)!.outputs[batch.artifact]!;
  const kind = batch.gather === "folder" || type === "folder" ? "folder" : "file";
  const format = batchFormat({ kind, fileName: basename(path) }, batch.format);
  return format === "files" ? "folder" : format;
}
