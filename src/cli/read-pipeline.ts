import { readFileSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { compilePipeline } from "../pipeline/compile.ts";
import { FILE_MAX_BYTES } from "../pipeline/document.ts";
import type { Problem } from "../protocol/errors.ts";
import type { Plan } from "../protocol/plan.ts";
import type { ScheduleDefinition } from "../protocol/schedules.ts";
import { CliError, usageError } from "./cli-error.ts";
import { compileProgram } from "./compile/compile-program.ts";
import { languageOf, type ProgramOptions } from "./compile/languages.ts";
import { EXIT } from "./exit-code.ts";
import { problemLine } from "./report-error.ts";

/** A pipeline file that is valid. */
export interface PipelineFile {
  /** As the user named it. */
  readonly name: string;
  /** Absolute; what the file names is relative to it. */
  readonly folder: string;
  /** Of a program, what it was compiled to. */
  readonly text: string;
  readonly plan: Plan;
  readonly schedules: readonly ScheduleDefinition[];
  readonly warnings: readonly Problem[];
}

/** Reads and compiles a pipeline file, or the program that describes one; throws with every problem, each with its position. */
export function readPipeline(file: string, options: ProgramOptions = {}): PipelineFile {
  const result = checkPipeline(file, options);
  if (result.ok) return result.pipeline;
  throw invalidFile(file, result.problems);
}

export type CheckedPipeline =
  | { readonly ok: true; readonly pipeline: PipelineFile }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** The same, with problems as a value. Throws only where there is no such file. */
export function checkPipeline(file: string, options: ProgramOptions = {}): CheckedPipeline {
  const language = languageOf(file);
  if (language === null) return checkText(file, readText(file));
  readText(file);
  const compiled = compileProgram(file, language, options);
  if (!compiled.ok) return compiled;
  const { text, places } = compiled;
  const checked = checkText(file, text);
  if (!checked.ok) return { ok: false, problems: checked.problems.map((problem) => places.inCode(problem)) };
  const warnings = checked.pipeline.warnings.map((problem) => places.inCode(problem));
  return { ok: true, pipeline: { ...checked.pipeline, warnings } };
}

function checkText(file: string, text: string): CheckedPipeline {
  const folder = dirname(resolve(file));
  const result = compilePipeline(text, { fileName: file, kindOf: (path) => kindOf(join(folder, path)) });
  if (!result.ok) return { ok: false, problems: result.problems };
  const { plan, schedules, warnings } = result;
  return { ok: true, pipeline: { name: file, folder, text, plan, schedules, warnings } };
}

function readText(file: string): string {
  const size = statSync(file, { throwIfNoEntry: false });
  if (size === undefined) throw usageError(`There is no file ${file}.`);
  if (!size.isFile()) throw usageError(`${file} is not a file.`);
  // The compiler refuses it just so; this spares reading a disk image.
  if (size.size > FILE_MAX_BYTES) {
    const most = FILE_MAX_BYTES / 1024 / 1024;
    throw usageError(`${file} has ${size.size} bytes; a pipeline file has at most ${FILE_MAX_BYTES} (${most} MiB).`);
  }
  return readFileSync(file, "utf8");
}

function kindOf(path: string): "file" | "folder" | "nothing" {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats?.isDirectory()) return "folder";
  return stats?.isFile() ? "file" : "nothing";
}

export function invalidFile(file: string, problems: readonly Problem[]): CliError {
  const count = problems.length === 1 ? "one problem" : `${problems.length} problems`;
  const lines = problems.map((problem) => problemLine(problem, file));
  return new CliError([`${file} has ${count}:`, ...lines].join("\n"), { exitCode: EXIT.usage });
}
