import { NAME_PATTERN } from "../protocol/names.ts";
import type { PipelineDocument } from "./document.ts";
import type { Path } from "./problem.ts";
import type { ProblemList } from "./problem-list.ts";
import { PipelineFile } from "./schema.ts";
import { type ShapeProblem, shapeProblems } from "./shape-problems.ts";

/** A file of the right shape, or what is left of one, so that everything else wrong with it can be said as well. */
export interface CheckedShape {
  readonly file: PipelineFile;
  /** Whether what stood here was taken out, for a problem that is reported: that it is missing is no news then. */
  readonly isDamaged: (...path: Path) => boolean;
}

/** Checks the shape and reports every problem; null when too little is left to look any further. */
export function checkShape(
  document: PipelineDocument,
  problems: ProblemList,
  fileName: string | undefined,
): CheckedShape | null {
  const parsed = PipelineFile.safeParse(document.value);
  if (parsed.success) return { file: parsed.data, isDamaged: () => false };
  const found = shapeProblems(parsed.error.issues, document.value);
  for (const { path, message, part } of found) {
    const isMissingName = path.length === 1 && path[0] === "name" && !hasName(document.value);
    problems.add(path, isMissingName ? `${message}${nameAdvice(fileName)}` : message, part);
  }
  return salvage(document.value, found);
}

/** Sections whose entries stand for themselves: one bad key of a step says nothing about the rest, nor does a schedule. */
const UNIT_DEPTH: Readonly<Record<string, number>> = { params: 3, environments: 3, schedules: 2, steps: 3 };

/** Takes out every unknown key, and everything else that has a problem, and looks at the rest. */
function salvage(value: unknown, problems: readonly ShapeProblem[]): CheckedShape | null {
  const rest = structuredClone(value);
  const damaged = new Set<string>();
  for (const { path, isUnknownKey, meantKey } of problems) {
    const unit = isUnknownKey ? path : path.slice(0, UNIT_DEPTH[String(path[0])] ?? 1);
    remove(rest, unit);
    if (!isUnknownKey) damaged.add(unit.join("."));
    else if (meantKey !== null) damaged.add([...path.slice(0, -1), meantKey].join("."));
  }
  if (!hasName(rest) && typeof rest === "object" && rest !== null) Object.assign(rest, { name: "unnamed" });
  const parsed = PipelineFile.safeParse(rest);
  if (!parsed.success) return null;
  return {
    file: parsed.data,
    isDamaged: (...path) => path.some((_, index) => damaged.has(path.slice(0, index + 1).join("."))),
  };
}

function hasName(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.hasOwn(value, "name");
}

/** A name after the file: `; add for example "name: wine"`. */
function nameAdvice(fileName: string | undefined): string {
  const stem = (fileName ?? "").replace(/^.*[/\\]/, "").replace(/\.[^.]*$/, "");
  return `; add for example "name: ${NAME_PATTERN.test(stem) ? stem : "wine"}"`;
}

function remove(root: unknown, path: Path): void {
  let holder = root;
  for (const part of path.slice(0, -1)) {
    if (typeof holder !== "object" || holder === null) return;
    holder = (holder as Record<string | number, unknown>)[part];
  }
  const last = path.at(-1);
  if (typeof holder === "object" && holder !== null && last !== undefined && !Array.isArray(holder)) {
    delete (holder as Record<string | number, unknown>)[last];
  }
}
