import type { Problem } from "../protocol/errors.ts";
import type { Scalar } from "../protocol/names.ts";
import type { ParamSpec, Params, Plan } from "../protocol/plan.ts";
import { formatPath, quote } from "./problem.ts";
import { didYouMean } from "./suggest.ts";

/** A value goes into the environment of every step, which the kernel limits to 128 KiB for each variable. */
const VALUE_MAX_CHARS = 32 * 1024;

export type ParamsResult =
  | { readonly ok: true; readonly params: Params }
  | { readonly ok: false; readonly problems: Problem[] };

/** Checks the values given for a run against the plan and fills in defaults; reports every problem at once. */
export function resolveParams(plan: Pick<Plan, "params">, given: Readonly<Record<string, unknown>>): ParamsResult {
  const params: Params = {};
  const problems: Problem[] = [];
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(plan.params, name)) problems.push(problem(name, unknownParam(plan, name)));
  }
  for (const [name, spec] of Object.entries(plan.params)) {
    const value = Object.hasOwn(given, name) ? given[name] : (spec.default ?? undefined);
    if (value === undefined) {
      if (spec.required) problems.push(problem(name, `has no default, so a ${spec.type} must be given`));
      continue;
    }
    const complaint = checkParam(value, spec.type) ?? checkChoice(value as Scalar, spec);
    if (complaint === null) params[name] = value as Scalar;
    else problems.push(problem(name, complaint));
  }
  return problems.length === 0 ? { ok: true, params } : { ok: false, problems };
}

export type ParamArgumentsResult =
  | { readonly ok: true; readonly given: Record<string, Scalar> }
  | { readonly ok: false; readonly problems: Problem[] };

/** Reads `name=value` arguments of a command line, each value by the type of its parameter. */
export function parseParamArguments(plan: Pick<Plan, "params">, args: readonly string[]): ParamArgumentsResult {
  const given = new Map<string, Scalar>();
  const problems: Problem[] = [];
  for (const argument of args) {
    const equals = argument.indexOf("=");
    const name = equals === -1 ? argument : argument.slice(0, equals);
    if (equals < 1) problems.push({ path: "", message: `${quote(argument)} must read name=value` });
    else if (!Object.hasOwn(plan.params, name)) problems.push(problem(name, unknownParam(plan, name)));
    else if (given.has(name)) problems.push(problem(name, "is given more than once"));
    else {
      const value = parseValue(argument.slice(equals + 1), plan.params[name]!.type);
      const complaint = checkParam(value, plan.params[name]!.type);
      if (complaint !== null) problems.push(problem(name, complaint));
      given.set(name, value);
    }
  }
  return problems.length === 0 ? { ok: true, given: Object.fromEntries(given) } : { ok: false, problems };
}

/** The text itself where it does not read as the type: checkParam then says what is wrong with it. */
function parseValue(text: string, type: ParamSpec["type"]): Scalar {
  if (type === "boolean" && (text === "true" || text === "false")) return text === "true";
  if (type === "integer" && /^[+-]?\d+$/.test(text)) return Number(text);
  if (type === "number" && /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text)) return Number(text);
  return text;
}

/** What is wrong with a value of this type, or null. */
export function checkParam(value: unknown, type: ParamSpec["type"]): string | null {
  const given = typeof value === "string" ? quote(value) : quoteOther(value);
  if (type === "boolean") return typeof value === "boolean" ? null : `must be true or false, not ${given}`;
  if (type === "number") return Number.isFinite(value) ? null : `must be a number, not ${given}`;
  if (type === "integer") {
    return Number.isSafeInteger(value) ? null : `must be a whole number between -2^53 and 2^53, not ${given}`;
  }
  if (typeof value !== "string") return `must be a text, not ${given}: write it in quotes`;
  if (value.length > VALUE_MAX_CHARS) return `is ${value.length} characters long; at most ${VALUE_MAX_CHARS}`;
  return value.includes("\0") ? "holds a NUL character, which no environment variable can" : null;
}

function checkChoice(value: Scalar, { choices }: ParamSpec): string | null {
  if (choices === null || choices.includes(value)) return null;
  const suggestion = typeof value === "string" ? didYouMean(value, choices.map(String)) : "";
  const shown = choices.slice(0, 20).map((choice) => quote(String(choice)));
  return `${quote(String(value))} is none of the choices ${shown.join(", ")}${choices.length > 20 ? ", …" : ""}${suggestion}`;
}

function quoteOther(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value !== null) return "an object";
  return typeof value === "number" || typeof value === "boolean" ? String(value) : "nothing";
}

function unknownParam(plan: Pick<Plan, "params">, name: string): string {
  const known = Object.keys(plan.params);
  if (known.length === 0) return "the pipeline has no parameters";
  return `the pipeline has no parameter ${quote(name)}${didYouMean(name, known) || `; it has ${known.slice(0, 20).join(", ")}`}`;
}

function problem(name: string, message: string): Problem {
  return { path: formatPath(["params", name]), message };
}
