import { Environment } from "@marcbachmann/cel-js";
import type { Problem } from "../protocol/errors.ts";
import type { Scalar } from "../protocol/names.ts";
import type { Plan } from "../protocol/plan.ts";
import type { PayloadMapping } from "../protocol/triggers.ts";
import { findRefused, LIMITS } from "./expression-limits.ts";
import { formatPath, quote } from "./problem.ts";
import { didYouMean } from "./suggest.ts";

/**
 * How what a webhook brings becomes parameters of a run: an expression in CEL for each, over
 *
 *     body               what was sent, JSON; its numbers are CEL's double
 *     webhook.id         of the message
 *     webhook.timestamp  when it was signed, seconds since 1970
 *
 * An expression that is null leaves its parameter out. `when` decides whether there is a run at all.
 */
const environment = new Environment({ limits: LIMITS })
  .registerVariable("body", "dyn")
  .registerVariable("webhook", "map");

export interface Payload {
  readonly body: unknown;
  readonly webhook: { readonly id: string; readonly timestamp: number };
}

/** Everything that is wrong with a mapping, before any webhook comes. */
export function checkMapping({ params, when }: PayloadMapping, plan: Pick<Plan, "params">): Problem[] {
  const problems: Problem[] = [];
  const add = (path: readonly string[], message: string) => problems.push({ path: formatPath(path), message });
  const known = Object.keys(plan.params);
  for (const [name, expression] of Object.entries(params)) {
    if (!Object.hasOwn(plan.params, name)) {
      const meant = didYouMean(name, known) || (known.length === 0 ? "; it has none" : `; it has ${known.join(", ")}`);
      add(["params", name], `the pipeline has no parameter ${quote(name)}${meant}`);
      continue;
    }
    const wrong = problemOf(expression, ["string", "double", "int", "bool", "dyn", "null"]);
    if (wrong !== null) add(["params", name], wrong);
  }
  for (const [name, { required }] of Object.entries(plan.params)) {
    if (required && !Object.hasOwn(params, name)) {
      add(["params", name], "has no default, so that a webhook has to bring it");
    }
  }
  const wrong = when === null ? null : problemOf(when, ["bool", "dyn"]);
  if (wrong !== null) add(["when"], wrong);
  return problems;
}

function problemOf(expression: string, types: readonly string[]): string | null {
  const checked = environment.check(expression);
  if (!checked.valid) return `${quote(expression)}: ${summaryOf(checked.error)}; there are body and webhook`;
  if (!types.includes(checked.type ?? "dyn")) return `${quote(expression)} is of type ${checked.type}, not one value`;
  return findRefused(environment.parse(expression).ast)?.message ?? null;
}

export type MappedPayload =
  | { readonly ok: true; readonly wanted: boolean; readonly params: Record<string, Scalar> }
  | { readonly ok: false; readonly problems: Problem[] };

/** The parameters that a payload comes to; their types are for the pipeline to check. */
export function mapPayload({ params, when }: PayloadMapping, payload: Payload): MappedPayload {
  const problems: Problem[] = [];
  const values: Record<string, Scalar> = {};
  if (when !== null) {
    const wanted = evaluate(when, payload);
    if (!wanted.ok || typeof wanted.value !== "boolean") {
      const message = wanted.ok ? `${quote(when)} is ${kindOf(wanted.value)}, not true or false` : wanted.message;
      return { ok: false, problems: [{ path: "when", message }] };
    }
    if (!wanted.value) return { ok: true, wanted: false, params: {} };
  }
  for (const [name, expression] of Object.entries(params)) {
    const path = formatPath(["params", name]);
    const found = evaluate(expression, payload);
    if (!found.ok) problems.push({ path, message: found.message });
    else if (isScalar(found.value)) values[name] = found.value;
    else if (found.value !== null) {
      problems.push({ path, message: `${quote(expression)} is ${kindOf(found.value)}, not one value` });
    }
  }
  return problems.length === 0 ? { ok: true, wanted: true, params: values } : { ok: false, problems };
}

type Evaluated = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly message: string };

function evaluate(expression: string, payload: Payload): Evaluated {
  try {
    const value: unknown = environment.evaluate(expression, { ...payload });
    // CEL's int; parameters are plain numbers.
    return { ok: true, value: typeof value === "bigint" ? Number(value) : value };
  } catch (error) {
    return { ok: false, message: `${quote(expression)}: ${summaryOf(error)}` };
  }
}

function summaryOf(error: unknown): string {
  const { summary, message } = error as Error & { summary?: string };
  const text = summary ?? message.split("\n", 1)[0]!;
  return text.charAt(0).toLowerCase() + text.slice(1);
}

function isScalar(value: unknown): value is Scalar {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean";
}

function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}
