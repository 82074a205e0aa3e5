/** Whoever reads JSON by recursion, as databases and `JSON.stringify` do, has a stack that ends. */
export const JSON_DEPTH_MAX = 50;

/** Goes down level by level, so that no nesting is too deep to be found too deep. */
export function isShallow(root: unknown): boolean {
  let level: unknown[] = [root];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > JSON_DEPTH_MAX) return false;
    level = level.flatMap(membersOf);
  }
  return true;
}

/**
 * Whether every key can be sent and stored: databases hold no NUL and no halves of characters, and parsers refuse what
 * others may take for the prototype of an object. Only of what is shallow.
 */
export function hasPlainKeys(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return true;
  if (!Array.isArray(value) && !Object.keys(value).every((key) => isPlain(key, value))) return false;
  return membersOf(value).every(hasPlainKeys);
}

function isPlain(key: string, owner: object): boolean {
  if (key === "__proto__" || key.includes("\0") || !key.isWellFormed()) return false;
  const member: unknown = key === "constructor" ? (owner as Readonly<Record<string, unknown>>)[key] : null;
  return typeof member !== "object" || member === null || !Object.hasOwn(member, "prototype");
}

function membersOf(value: unknown): unknown[] {
  return typeof value === "object" && value !== null ? Object.values(value) : [];
}
