import { NAME_PATTERN } from "../protocol/names.ts";
import type { OutputPlan } from "../protocol/plan.ts";
import { defaultPath, isCustomType, typeOfPath } from "./artifact-type.ts";
import type { Compilation } from "./compilation.ts";
import { compileRetention } from "./compile-retention.ts";
import { type Path, quote } from "./problem.ts";
import type { OutputSpec, StepSpec } from "./schema.ts";

/** Reading a pickle runs whatever code is in it: that is asked for by name, never by the ending of a path. */
const PICKLE_UNSAID =
  "a file ending in .pkl is not pickled by that alone: write type: pickle, if all that read it may run code of this step, or type: file";
const isPickle = (path: string) => /\.(pkl|pickle)$/i.test(path);

export function compileOutputs(step: string, spec: StepSpec, compilation: Compilation): Record<string, OutputPlan> {
  const path = ["steps", step, "outputs"];
  const outputs = Array.isArray(spec.outputs)
    ? compileList(spec.outputs, spec, path, compilation)
    : compileRecord(spec.outputs ?? {}, spec, path, compilation);
  compilation.checkVariables("outputs", Object.keys(outputs), path);
  checkOverlaps(outputs, path, compilation);
  return outputs;
}

/** `[train.csv, plots/]`: each named by its file name without ending. */
function compileList(paths: readonly string[], spec: StepSpec, listPath: Path, { problems }: Compilation) {
  const outputs: Record<string, OutputPlan> = {};
  for (const [index, path] of paths.entries()) {
    const name = /([^/.]+)[^/]*\/?$/.exec(path)?.[1] ?? "";
    if (!NAME_PATTERN.test(name)) {
      problems.add([...listPath, index], `${quote(path)} gives no name: write name: path instead of a list`);
    } else if (Object.hasOwn(outputs, name)) {
      problems.add([...listPath, index], `a second output ${quote(name)}: write name: path instead of a list`);
    } else if (spec.python !== undefined && isPickle(path)) {
      problems.add([...listPath, index], PICKLE_UNSAID);
    } else {
      // A function's output without an ending is a name, whose path follows from the type.
      const isName = isFunction(spec) && path === name;
      outputs[name] = isName ? compileOutput(name, {}, spec) : compileOutput(name, path, spec);
    }
  }
  return outputs;
}

function compileRecord(
  specs: Readonly<Record<string, OutputSpec>>,
  spec: StepSpec,
  recordPath: Path,
  { problems }: Compilation,
) {
  const outputs: Record<string, OutputPlan> = {};
  for (const [name, output] of Object.entries(specs)) {
    outputs[name] = compileOutput(name, output, spec);
    const path = typeof output === "string" ? output : (output.path ?? "");
    const { type } = outputs[name];
    if (path.endsWith("/") && type !== "folder" && !isCustomType(type)) {
      problems.add([...recordPath, name, "type"], `a path that ends in '/' is a folder, not ${type}`);
    }
    if (type === "folder" && outputs[name].contentType !== undefined) {
      problems.add([...recordPath, name, "contentType"], "a folder has no content type, its files have");
    }
    if (spec.python !== undefined && isPickle(path) && (typeof output === "string" || output.type === undefined)) {
      problems.add([...recordPath, name], PICKLE_UNSAID);
    }
  }
  return outputs;
}

function compileOutput(name: string, spec: OutputSpec, step: StepSpec): OutputPlan {
  const { path, type, optional, when, retention, contentType, tags } = typeof spec === "string" ? { path: spec } : spec;
  // What a function returns is written as JSON unless something else is said.
  const known = type ?? (path !== undefined ? typeOfPath(path) : isFunction(step) ? "json" : "file");
  return {
    path: (path ?? defaultPath(name, known)).replace(/\/$/, ""),
    type: known,
    optional: optional ?? false,
    when: when ?? "success",
    ...(retention === undefined ? {} : { retention: compileRetention(retention) }),
    ...(contentType === undefined ? {} : { contentType }),
    ...(tags === undefined ? {} : { tags: textsOf(tags) }),
  };
}

/** As they stand in the file: `year: 2026` is a text, too. */
function textsOf(tags: Readonly<Record<string, string | number | boolean>>): Record<string, string> {
  return Object.fromEntries(Object.entries(tags).map(([key, value]) => [key, String(value)]));
}

/** Whether values are written by a step SDK. */
function isFunction({ python, typescript }: StepSpec): boolean {
  return python !== undefined || typescript !== undefined;
}

/** No output may lie inside another: each is a version of its own. */
function checkOverlaps(outputs: Record<string, OutputPlan>, path: Path, { problems }: Compilation): void {
  const sorted = Object.entries(outputs)
    .map(([name, output]) => ({ name, prefix: `${output.path}/` }))
    .sort((a, b) => (a.prefix < b.prefix ? -1 : 1));
  for (const [index, current] of sorted.entries()) {
    const previous = sorted[index - 1];
    if (previous !== undefined && current.prefix.startsWith(previous.prefix)) {
      problems.add([...path, current.name], `lies inside the output ${quote(previous.name)}, or is the same`);
    }
  }
}
