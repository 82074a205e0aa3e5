import type { Concurrency } from "../protocol/plan.ts";
import type { Compilation } from "./compilation.ts";
import { quote } from "./problem.ts";
import { didYouMean } from "./suggest.ts";
import { parseTemplate, type Reference } from "./template.ts";
import { withCaret } from "./with-caret.ts";

/** The group that runs of the pipeline belong to; a problem with its name is reported with the place in the text. */
export function compileConcurrency(compilation: Compilation): Concurrency | null {
  const { concurrency } = compilation.file;
  if (concurrency === undefined) return null;
  const isShort = typeof concurrency === "string";
  const { group, limit = 1, policy = "queue" } = isShort ? { group: concurrency } : concurrency;
  const path = isShort ? ["concurrency"] : ["concurrency", "group"];
  if (group.trim() === "") compilation.problems.add(path, "is blank: name what the runs have in common");
  const { parts, problems } = parseTemplate(group);
  for (const { message, at } of problems) compilation.problems.add(path, withCaret(group, message, at));
  for (const part of parts) {
    const problem = typeof part === "string" ? null : problemOf(part, compilation);
    if (problem !== null) compilation.problems.add(path, withCaret(group, problem, (part as { at: number }).at));
  }
  return { group, limit, policy };
}

/** A group is known before the run is: only parameters can be in its name. */
function problemOf({ scope, name }: Reference, { file, isDamaged }: Compilation): string | null {
  if (scope !== "params") return `${quote(`${scope}.${name}`)} cannot be part of a group's name: only params can`;
  const known = Object.keys(file.params ?? {});
  if (known.includes(name) || isDamaged("params", name)) return null;
  return `there is no parameter ${quote(name)}${didYouMean(name, known)}`;
}
