import type { z } from "zod";
import { type Path, PROBLEMS_MAX, quote } from "./problem.ts";
import type { FaultyPart } from "./problem-list.ts";
import { closest, didYouMean } from "./suggest.ts";

/** The format of a name such as `x-image` (protocol/plan.ts). */
const OPEN_NAME = "template_literal";

type Issue = z.core.$ZodIssue;

/** One thing wrong with the shape of the file, in words for people. */
export interface ShapeProblem {
  readonly path: Path;
  readonly part: FaultyPart;
  readonly message: string;
  /** Whether it is a key that may be dropped without changing what the rest means. */
  readonly isUnknownKey: boolean;
  /** The key that is thereby not there although it seems to be meant. */
  readonly meantKey: string | null;
}

/** Says what zod found, for the value that it looked at. */
export function shapeProblems(issues: readonly Issue[], root: unknown): ShapeProblem[] {
  const problems: ShapeProblem[] = [];
  for (const issue of issues) {
    problems.push(...describe(issue, [], root));
    if (problems.length > PROBLEMS_MAX) break;
  }
  return problems;
}

function describe(issue: Issue, base: Path, root: unknown): ShapeProblem[] {
  const path = [...base, ...(issue.path as (string | number)[])];
  const value = valueAt(root, path);
  switch (issue.code) {
    case "unrecognized_keys":
      // `mapping` in schema-parts.ts hands the known keys over as the message.
      return issue.keys.slice(0, PROBLEMS_MAX).map((key) => unknownKey(path, key, issue.message.split(" ")));
    case "invalid_union":
      return describeUnion(issue, path, root);
    case "invalid_key":
      return [{ ...wrong(path, `${quote(String(path.at(-1)))}: ${issue.issues[0]!.message}`), part: "key" }];
    case "invalid_type":
      if (value === undefined) return [missing(path)];
      return [wrong(path, `expected ${expectation(issue)}, found ${found(value)}`)];
    case "invalid_value":
      return [wrong(path, notAllowed(issue.values.map(String), value))];
    case "too_big":
      return [wrong(path, `${found(value)} is too ${size(issue.origin, "large")}; at most ${issue.maximum}`)];
    case "too_small":
      return [wrong(path, `${found(value)} is too ${size(issue.origin, "small")}; at least ${issue.minimum}`)];
    case "invalid_format":
    case "custom":
      return [wrong(path, isContainer(value) ? issue.message : `${quote(String(value))}: ${issue.message}`)];
    case "invalid_element":
    case "not_multiple_of":
      break;
  }
  return [wrong(path, issue.message)];
}

/** Complains about the form that the writer seems to have meant. */
function describeUnion(issue: z.core.$ZodIssueInvalidUnion, path: Path, root: unknown): ShapeProblem[] {
  const meant = issue.errors.find((errors) => !errors.some(isOtherForm));
  if (meant !== undefined) {
    // Names beside words that are known, as of types: whoever has begun such a name is told how it goes on.
    const open = issue.errors.flat().filter((inner) => inner.code === "invalid_format" && inner.format === OPEN_NAME);
    const begun = open.filter(() => String(valueAt(root, path)).startsWith("x-"));
    return (begun.length > 0 ? begun : meant).flatMap((inner) => describe(inner, path, root));
  }
  const value = valueAt(root, path);
  if (value === undefined) return [missing(path)];
  const expected = issue.errors.flatMap((errors) => errors.filter(isOtherForm)).map(expectation);
  return [wrong(path, `expected ${[...new Set(expected)].join(" or ")}, found ${found(value)}`)];
}

function isOtherForm(issue: Issue): boolean {
  return issue.path.length === 0 && (issue.code === "invalid_type" || issue.code === "invalid_union");
}

const NAME_OF_TYPE: Readonly<Record<string, string>> = {
  string: "a text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
};

function expectation(issue: Issue): string {
  if (issue.code === "invalid_union") {
    const expected = issue.errors.flatMap((errors) => errors.filter(isOtherForm)).map(expectation);
    return [...new Set(expected)].join(" or ");
  }
  return (issue.code === "invalid_type" && NAME_OF_TYPE[issue.expected]) || "a mapping";
}

function found(value: unknown): string {
  if (value === null) return "nothing";
  if (typeof value === "string") return value === "" ? "the empty text" : `the text ${quote(value)}`;
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list";
  if (typeof value === "number") return `the number ${value}`;
  return typeof value === "boolean" ? String(value) : "a mapping";
}

function size(origin: string, direction: "large" | "small"): string {
  if (origin === "string" || origin === "array") return direction === "large" ? "long" : "short";
  return direction;
}

function notAllowed(allowed: readonly string[], value: unknown): string {
  const suggestion = typeof value === "string" ? didYouMean(value, allowed) : "";
  return `${found(value)} is not allowed here; choose ${allowed.map(quote).join(" or ")}${suggestion}`;
}

function unknownKey(path: Path, key: string, known: readonly string[]): ShapeProblem {
  const message = `unknown key ${quote(key)}${didYouMean(key, known)}`;
  return { path: [...path, key], part: "key", message, isUnknownKey: true, meantKey: closest(key, known) };
}

function missing(path: Path): ShapeProblem {
  return wrong(path, `${quote(String(path.at(-1)))} is missing`);
}

function wrong(path: Path, message: string): ShapeProblem {
  return { path, part: "value", message, isUnknownKey: false, meantKey: null };
}

function isContainer(value: unknown): boolean {
  return typeof value === "object" && value !== null;
}

function valueAt(root: unknown, path: Path): unknown {
  let value = root;
  for (const part of path) {
    if (!isContainer(value) || !Object.hasOwn(value as object, part)) return undefined;
    value = (value as Record<string | number, unknown>)[part];
  }
  return value;
}
