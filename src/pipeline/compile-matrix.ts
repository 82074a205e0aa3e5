import { matrixKey, type Scalar } from "../protocol/names.ts";
import type { Compilation } from "./compilation.ts";
import { quote } from "./problem.ts";
import type { StepSpec } from "./schema.ts";

/** Of all steps of a pipeline together. */
const COMBINATIONS_MAX = 10_000;
/** A combination names its entry in a gathered folder, and file systems allow 255 bytes. */
const COMBINATION_MAX_CHARS = 200;
/** Values stand in keys and in names of files, so they hold nothing that could mean something there. */
const VALUE_PATTERN = /^[A-Za-z0-9 ._+:@~-]{1,100}$/;

type Combination = Record<string, Scalar>;

/** Every combination of a step's matrix, the last dimension changing fastest; null for a step without one. */
export function compileMatrix(
  step: string,
  spec: StepSpec,
  expand: boolean,
  compilation: Compilation,
): Combination[] | null {
  if (spec.matrix === undefined) return null;
  const { problems } = compilation;
  const path = ["steps", step, "matrix"];
  const dimensions = Object.entries(spec.matrix);
  if (dimensions.length === 0) {
    problems.add(path, "holds no values");
    return null;
  }
  for (const [name, values] of dimensions) checkValues(values, [...path, name], compilation);
  compilation.checkVariables("matrix", Object.keys(spec.matrix), path);
  if (!expand) return [];
  let combinations: Combination[] = [{}];
  for (const [name, values] of dimensions) {
    combinations = combinations.flatMap((combination) => values.map((value) => ({ ...combination, [name]: value })));
  }
  const longest = combinations.reduce((max, each) => Math.max(max, matrixKey(each).length), 0);
  if (longest > COMBINATION_MAX_CHARS) {
    const limit = `at most ${COMBINATION_MAX_CHARS} are allowed`;
    problems.add(path, `its longest combination has ${longest} characters, names included; ${limit}`);
  }
  return combinations;
}

/** Whether all matrices together make few enough combinations; reports it when not. */
export function checkCombinations({ file, problems }: Compilation): boolean {
  let total = 0;
  for (const [step, { matrix }] of Object.entries(file.steps)) {
    if (matrix === undefined) continue;
    const count = Object.values(matrix).reduce((product, values) => product * values.length, 1);
    const before = total;
    total += count;
    if (before <= COMBINATIONS_MAX && total > COMBINATIONS_MAX) {
      const sum = before === 0 ? "" : `, ${total} with those of the steps above`;
      problems.add(
        ["steps", step, "matrix"],
        `makes ${count} combinations${sum}; at most ${COMBINATIONS_MAX} are allowed`,
      );
    }
  }
  return total <= COMBINATIONS_MAX;
}

function checkValues(values: readonly Scalar[], path: readonly string[], compilation: Compilation): void {
  const { problems, warnings } = compilation;
  const seen = new Set<string>();
  for (const [index, value] of values.entries()) {
    const valuePath = [...path, index];
    const text = String(value);
    if (!VALUE_PATTERN.test(text)) {
      problems.add(
        valuePath,
        `${quote(text)}: a matrix value holds 1 to 100 letters, digits, blanks and . _ + : @ ~ -`,
      );
    }
    if (seen.has(text)) problems.add(valuePath, `${quote(text)} is listed twice`);
    seen.add(text);
    const source = compilation.sourceOf(valuePath);
    if (typeof value === "number" && source !== null && source !== text) {
      warnings.add(valuePath, `${source} is read as the number ${text}; write "${source}" in quotes to keep it`);
    }
  }
}
