import type { ASTNode, ParseResult } from "@marcbachmann/cel-js";

/** What keeps every expression in CEL, whoever wrote it, from taking for ever. */
export const LIMITS = {
  maxAstNodes: 500,
  maxDepth: 50,
  maxListElements: 200,
  maxMapEntries: 200,
  maxCallArguments: 16,
};

/** Regular expressions of JavaScript may take for ever; an expression can do without. */
const REFUSED_CALLS = new Set(["matches"]);
/** They walk over a list; one inside another could take for ever. */
const MACROS = new Set(["all", "exists", "exists_one", "map", "filter"]);

export type Refused = { readonly message: string; readonly at: number };
export type ExpressionNode = ParseResult["ast"] & { op: string; args: unknown; pos: number };

/** Whether a node is a call that is not available, and whether what is below it is inside of a macro. */
export function checkCall(
  node: ExpressionNode,
  inMacro: boolean,
): { readonly refused: Refused | null; readonly inMacro: boolean } {
  const name = calledBy(node);
  const refused = refusedCall(name, node.pos);
  if (refused !== null || !MACROS.has(name)) return { refused, inMacro };
  const message = `${name}() inside another such call is not available in conditions`;
  return { refused: inMacro ? { message, at: node.pos } : null, inMacro: true };
}

/**
 * The first call below a node that is not available to an expression over what strangers send: they decide how long a
 * list is, and how much each step of a walk over it costs.
 */
export function findRefused(node: ASTNode): Refused | null {
  const called = calledBy(node);
  if (MACROS.has(called)) {
    return { message: `${called}() is not available for messages; use in, ==, startsWith() and such`, at: node.pos };
  }
  const refused = refusedCall(called, node.pos);
  if (refused !== null) return refused;
  for (const child of childrenOf(node.args)) {
    const below = findRefused(child);
    if (below !== null) return below;
  }
  return null;
}

export function childrenOf(args: unknown): ASTNode[] {
  if (Array.isArray(args)) return args.flatMap(childrenOf);
  return typeof args === "object" && args !== null && "op" in args ? [args as ASTNode] : [];
}

function refusedCall(name: string, at: number): Refused | null {
  if (!REFUSED_CALLS.has(name)) return null;
  return { message: `${name}() is not available in conditions; use ==, startsWith(), endsWith() or contains()`, at };
}

function calledBy({ op, args }: Pick<ExpressionNode, "op" | "args">): string {
  if ((op !== "call" && op !== "rcall") || !Array.isArray(args)) return "";
  return typeof args[0] === "string" ? args[0] : "";
}
