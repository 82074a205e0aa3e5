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
  { op, args, pos }: ExpressionNode,
  inMacro: boolean,
): { readonly refused: Refused | null; readonly inMacro: boolean } {
  const isCall = (op === "call" || op === "rcall") && Array.isArray(args);
  const name: string = isCall ? args[0] : "";
  if (REFUSED_CALLS.has(name)) {
    const message = `${name}() is not available in conditions and mappings; use ==, startsWith(), endsWith() or contains()`;
    return { refused: { message, at: pos }, inMacro };
  }
  if (!MACROS.has(name)) return { refused: null, inMacro };
  const message = `${name}() inside another such call is not available in conditions and mappings`;
  return { refused: inMacro ? { message, at: pos } : null, inMacro: true };
}

export function childrenOf(args: unknown): ASTNode[] {
  if (Array.isArray(args)) return args.flatMap(childrenOf);
  return typeof args === "object" && args !== null && "op" in args ? [args as ASTNode] : [];
}

/** The first call below a node that is not available. */
export function findRefused(node: ASTNode, inMacro = false): Refused | null {
  const checked = checkCall(node, inMacro);
  if (checked.refused !== null) return checked.refused;
  for (const child of childrenOf((node as ExpressionNode).args)) {
    const refused = findRefused(child, checked.inMacro);
    if (refused !== null) return refused;
  }
  return null;
}
