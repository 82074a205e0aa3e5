import { z } from "zod";
import { NAME_PATTERN } from "../protocol/names.ts";
import { VariableName } from "../protocol/variables.ts";

/** Strict mapping; its complaint about unknown keys carries the known ones, for suggestions: see shape-problems.ts. */
export function mapping<Shape extends z.ZodRawShape>(shape: Shape) {
  const knownKeys = Object.keys(shape).join(" ");
  return z.strictObject(shape, { error: (issue) => (issue.code === "unrecognized_keys" ? knownKeys : undefined) });
}

/** A mapping whose keys people choose. */
export function record<Key extends z.ZodString, Value extends z.ZodType>(key: Key, value: Value, max: number) {
  return z.record(key, value).refine((entries) => Object.keys(entries).length <= max, `has more than ${max} entries`);
}

export function text(maxChars: number) {
  return z.string().min(1).max(maxChars);
}

/** The pattern of protocol/names.ts, with a message that fits every kind of name. */
export const NameText = z
  .string()
  .regex(NAME_PATTERN, "a name starts with a letter and holds at most 63 letters, digits, '_' or '-'");

/** What environment variables and arguments may be written as: all become texts, as they stand in the file. */
export const Plain = z.union([z.string().max(32 * 1024), z.number(), z.boolean()]);

export const Variables = record(VariableName, Plain, 500);

/** A path below a folder that Berth knows: relative, `/`-separated, already normalised. */
export function relativePath(what: string, options: { readonly orRoot?: boolean } = {}) {
  return text(500)
    .refine((path) => !path.includes("${{"), "templates are replaced only in run, command and env")
    .refine(
      (path) => isRelativePath(path) || (options.orRoot === true && path === "."),
      `must be a path inside ${what}: relative, with '/', without '.' and '..'`,
    );
}

function isRelativePath(path: string): boolean {
  if (/[\p{Cc}\\]/u.test(path)) return false;
  const parts = path.replace(/\/$/, "").split("/");
  return parts.every((part) => part !== "" && part !== "." && part !== ".." && part.length <= 255);
}
