import { type ASTNode, Environment } from "@marcbachmann/cel-js";
import type { Scalar } from "../protocol/names.ts";
import type { Params } from "../protocol/plan.ts";
import { checkCall, childrenOf, type ExpressionNode, LIMITS, type Refused } from "./expression-limits.ts";

/**
 * Conditions of steps, in the Common Expression Language (https://cel.dev): no loops, no side effects, and with the
 * limits here an end in bounded time. Names that a condition may use:
 *
 *     params.<name>                  the run's parameters
 *     matrix.<name>                  the values of the combination
 *     steps.<name>.state             "succeeded", "failed", "skipped" or "cancelled"
 *     steps.<name>.outputs.<name>    what a small output holds: JSON as a value, anything else as text
 *     run.state                      how the run ended so far, in steps of a later phase
 */

const SCOPES = ["params", "matrix", "steps", "run"] as const;
/** Of an output that a condition reads: it is held in memory as a value. */
export const READ_MAX_BYTES = 64 * 1024;

const environment = SCOPES.reduce(
  (made, scope) => made.registerVariable(scope, "map"),
  new Environment({ limits: LIMITS }),
);

/** A name that a condition uses, and where in its text. */
export interface ConditionName {
  readonly scope: (typeof SCOPES)[number];
  /** `["prepare", "state"]`; empty where the scope is used as a whole or by a name that is only known later. */
  readonly path: readonly string[];
  readonly at: number;
}

export type CheckedCondition =
  | { readonly ok: true; readonly names: readonly ConditionName[] }
  | { readonly ok: false; readonly message: string; readonly at: number };

/** Reads a condition and says which names it uses; or what is wrong with it, and where. */
export function checkCondition(expression: string): CheckedCondition {
  const checked = environment.check(expression);
  if (!checked.valid) {
    const { summary, node } = checked.error as unknown as { summary?: string; node?: { pos?: number } };
    return { ok: false, message: summary ?? checked.error!.message, at: node?.pos ?? 0 };
  }
  const { type } = checked;
  if (type !== "bool" && type !== "dyn") {
    return { ok: false, message: `must be true or false, and this is of type ${type}`, at: 0 };
  }
  const names: ConditionName[] = [];
  const refused = walk(environment.parse(expression).ast, names, false);
  return refused === null ? { ok: true, names } : { ok: false, ...refused };
}

export interface ConditionValues {
  readonly params: Params;
  readonly matrix: Readonly<Record<string, Scalar>>;
  readonly steps: Readonly<
    Record<string, { readonly state: string; readonly outputs: Readonly<Record<string, unknown>> }>
  >;
  readonly run: { readonly state: string };
}

/** Whether it is met. Throws an Error with a message for people when it cannot be said. */
export function evaluateCondition(expression: string, { params, matrix, ...values }: ConditionValues): boolean {
  const context = { params: exact(params), matrix: exact(matrix), ...values };
  let met: unknown;
  try {
    met = environment.evaluate(expression, context);
  } catch (error) {
    const { summary, message } = error as Error & { summary?: string };
    throw new Error(summary ?? message.split("\n", 1)[0]!, { cause: error });
  }
  if (typeof met !== "boolean") throw new Error(`it is ${String(met)}, neither true nor false`);
  return met;
}

/** Whole numbers of parameters are CEL's int, with which one can count; numbers in JSON are its double. */
function exact(values: Readonly<Record<string, Scalar>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, Number.isSafeInteger(value) ? BigInt(value) : value]),
  );
}

/** Collects the names below a node, and returns the first thing that is not allowed. */
function walk(node: ASTNode, names: ConditionName[], inMacro: boolean): Refused | null {
  const path = pathOf(node);
  if (path !== null) {
    names.push(path);
    return null;
  }
  const { op, args, pos } = node as ExpressionNode;
  if (op === "id" && isScope(args)) names.push({ scope: args, path: [], at: pos });
  const call = checkCall(node, inMacro);
  if (call.refused !== null) return call.refused;
  for (const child of childrenOf(args)) {
    const refused = walk(child, names, call.inMacro);
    if (refused !== null) return refused;
  }
  return null;
}

/** `steps.prepare.state` and `steps["prepare"].state`, from the scope on. */
function pathOf(node: ASTNode): ConditionName | null {
  const path: string[] = [];
  let current = node as unknown as { op: string; args: unknown; pos: number };
  while (current.op === "." || current.op === "[]") {
    const [holder, key] = current.args as [typeof current, string | { op: string; args: unknown }];
    const name = typeof key === "string" ? key : key.op === "value" ? key.args : null;
    if (typeof name !== "string") return null;
    path.unshift(name);
    current = holder;
  }
  if (current.op !== "id" || !isScope(current.args) || path.length === 0) return null;
  return { scope: current.args, path, at: current.pos };
}

function isScope(name: unknown): name is ConditionName["scope"] {
  return SCOPES.some((scope) => scope === name);
}
