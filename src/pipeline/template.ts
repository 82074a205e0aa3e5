import type { Scalar } from "../protocol/names.ts";
import type { Params } from "../protocol/plan.ts";
import { quote } from "./problem.ts";
import { didYouMean } from "./suggest.ts";

/**
 * Templates: `${{ params.seed }}` in commands and environment variables; `$${{` writes a plain `${{`.
 *
 * In arguments and variables the value is put in its place, where nothing interprets it again. In a shell script it
 * never is: the template becomes a reference to an environment variable, so that a value is data to the shell and can
 * never be code. The same variables exist in every step:
 *
 *     params.<name>    BERTH_PARAM_<NAME>     upper case, '-' becomes '_'
 *     matrix.<name>    BERTH_MATRIX_<NAME>
 *     inputs.<name>    BERTH_INPUT_<NAME>     path of the file or folder; inputs.batch is the part of a batch item
 *     outputs.<name>   BERTH_OUTPUT_<NAME>    path to write
 *     run.id, run.number          BERTH_RUN_ID, BERTH_RUN_NUMBER
 *     batch.index, batch.count    BERTH_BATCH_INDEX, BERTH_BATCH_COUNT
 */
const PREFIX = {
  params: "BERTH_PARAM_",
  matrix: "BERTH_MATRIX_",
  inputs: "BERTH_INPUT_",
  outputs: "BERTH_OUTPUT_",
  run: "BERTH_RUN_",
  batch: "BERTH_BATCH_",
} as const;

export type Scope = keyof typeof PREFIX;

export interface Reference {
  readonly scope: Scope;
  readonly name: string;
}

/** Names of the scopes whose members Berth itself defines. */
export const FIXED_NAMES = { run: ["id", "number"], batch: ["index", "count"] } as const;

export interface TemplateValues {
  readonly params: Params;
  readonly matrix: Readonly<Record<string, Scalar>> | null;
  /** Paths, as the step sees them. */
  readonly inputs: Readonly<Record<string, string>>;
  readonly outputs: Readonly<Record<string, string>>;
  readonly run: { readonly id: string; readonly number: number };
  /** Null outside of a batch; the index counts from 0. */
  readonly batch: { readonly index: number; readonly count: number } | null;
}

/** `at`: where in the text the template begins. */
export interface ParsedTemplate {
  readonly parts: readonly (string | (Reference & { readonly at: number }))[];
  readonly problems: readonly { readonly message: string; readonly at: number }[];
}

export function parseTemplate(text: string): ParsedTemplate {
  const parts: ParsedTemplate["parts"][number][] = [];
  const problems: ParsedTemplate["problems"][number][] = [];
  let done = 0;
  for (let open = text.indexOf("${{"); open !== -1; open = text.indexOf("${{", done)) {
    if (open > done && text[open - 1] === "$") {
      parts.push(`${text.slice(done, open - 1)}\${{`);
      done = open + 3;
      continue;
    }
    const close = text.indexOf("}}", open);
    if (close === -1) {
      const begun = quote(text.slice(open, open + 40));
      problems.push({ message: `the template ${begun} is not closed by }} (for a plain \${{ write $\${{)`, at: open });
      break;
    }
    parts.push(text.slice(done, open));
    const reference = parseReference(text.slice(open + 3, close).trim());
    if (typeof reference === "string") problems.push({ message: reference, at: open });
    else parts.push({ ...reference, at: open });
    done = close + 2;
  }
  parts.push(text.slice(done));
  return { parts: parts.filter((part) => part !== ""), problems };
}

function parseReference(expression: string): Reference | string {
  const match = /^([A-Za-z_]+)\.([A-Za-z][A-Za-z0-9_-]{0,62})$/.exec(expression);
  if (match === null) return `the template ${quote(expression)} must read scope.name, such as params.seed`;
  const [, scope, name] = match as unknown as [string, string, string];
  if (!Object.hasOwn(PREFIX, scope)) {
    const scopes = Object.keys(PREFIX);
    return `the template ${quote(expression)} starts with no scope (${scopes.join(", ")})${didYouMean(scope, scopes)}`;
  }
  return { scope: scope as Scope, name };
}

/** `BERTH_PARAM_LEARNING_RATE` for `params.learning-rate`. */
export function variableName({ scope, name }: Reference): string {
  return PREFIX[scope] + name.toUpperCase().replaceAll("-", "_");
}

/** Puts the values in: for arguments and environment variables, which no shell reads. */
export function renderText(template: string, values: TemplateValues): string {
  return partsOf(template)
    .map((part) => (typeof part === "string" ? part : lookUp(part, values)))
    .join("");
}

/** The same, but a text that is one template and nothing else is the value itself: a number stays a number. */
export function renderValue(template: string, values: TemplateValues): Scalar | undefined {
  const [part, ...more] = partsOf(template);
  if (part === undefined || typeof part === "string" || more.length > 0) return renderText(template, values);
  const scoped: Readonly<Record<string, Scalar>> | null = values[part.scope];
  // A parameter that need not be given, and was not, is not handed over.
  if (part.scope === "params" && !Object.hasOwn(values.params, part.name)) return undefined;
  return scoped?.[part.name] ?? lookUp(part, values);
}

export interface ShellScript {
  /** The script, with `${BERTH_PARAM_SEED}` in the place of `${{ params.seed }}`. */
  readonly script: string;
  /** The variables that it needs, each with the template of its value, for `renderText`. */
  readonly env: Readonly<Record<string, string>>;
}

/** Turns templates into references to variables: a value is never part of a script. */
export function compileShell(script: string): ShellScript {
  const env: Record<string, string> = {};
  const parts = partsOf(script).map((part) => {
    if (typeof part === "string") return part;
    const variable = variableName(part);
    env[variable] = `\${{ ${part.scope}.${part.name} }}`;
    return `\${${variable}}`;
  });
  return { script: parts.join(""), env };
}

/** Every variable that templates can refer to, whether or not the step does: its code may read them as well. */
export function templateVariables(values: TemplateValues): Record<string, string> {
  const variables: Record<string, string> = {};
  for (const scope of Object.keys(PREFIX) as Scope[]) {
    for (const [name, value] of Object.entries(values[scope] ?? {})) {
      variables[variableName({ scope, name })] = String(value);
    }
  }
  return variables;
}

function partsOf(template: string): ParsedTemplate["parts"] {
  const { parts, problems } = parseTemplate(template);
  if (problems.length > 0) {
    throw new TypeError(`the plan holds a bad template: ${problems.map(({ message }) => message).join("; ")}`);
  }
  return parts;
}

function lookUp({ scope, name }: Reference, values: TemplateValues): string {
  const scoped = values[scope];
  if (scoped !== null && Object.hasOwn(scoped, name)) return String((scoped as Record<string, Scalar>)[name]);
  // A parameter that need not be given, and was not.
  if (scope === "params") return "";
  throw new TypeError(`no value for the template ${scope}.${name}`);
}
