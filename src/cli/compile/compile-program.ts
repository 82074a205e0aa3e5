import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, relative, resolve } from "node:path";
import { stringify } from "yaml";
import { z } from "zod";
import { FILE_MAX_BYTES } from "../../pipeline/document.ts";
import type { Problem } from "../../protocol/errors.ts";
import { CliError, usageError } from "../cli-error.ts";
import { EXIT } from "../exit-code.ts";
import type { Language, ProgramOptions } from "./languages.ts";

/** A program that describes a pipeline does little; one that works for longer than this has lost its way. */
const COMPILE_TIMEOUT_MS = 60_000;

const Place = z.object({ file: z.string(), line: z.int(), column: z.int().default(1) });
type Place = z.infer<typeof Place>;

/**
 * What the program of a language writes, as JSON, to the file that `BERTH_COMPILE_RESULT` names: the content of a pipeline
 * file, with the place in the code that each part of it comes from (`steps.train`), or what is wrong. Paths in the
 * pipeline are relative to the folder of the user's file, which is the working folder.
 */
const Result = z.union([
  z.strictObject({
    pipeline: z.record(z.string(), z.unknown()),
    places: z.record(z.string(), Place),
  }),
  z.strictObject({
    problems: z.array(z.object({ message: z.string(), path: z.string().default(""), place: Place.optional() })).min(1),
  }),
]);

export type CompiledProgram =
  | { readonly ok: true; readonly text: string; readonly places: Places }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Where in the code the parts of a pipeline come from. */
export class Places {
  readonly #file: string;
  readonly #places: Readonly<Record<string, Place>>;

  constructor(file: string, places: Readonly<Record<string, Place>>) {
    this.#file = resolve(file);
    this.#places = places;
  }

  /** The problem at the code's place in place of that in the text, which nobody wrote. */
  inCode({ path, message }: Problem): Problem {
    const nearest = Object.keys(this.#places)
      .filter((each) => path === each || path.startsWith(`${each}.`) || path.startsWith(`${each}[`))
      .sort((a, b) => b.length - a.length)[0];
    return this.at(nearest === undefined ? undefined : this.#places[nearest], path, message);
  }

  /** A position is one in the user's file; that in another file is part of the message. */
  at(place: Place | undefined, path: string, message: string): Problem {
    if (place === undefined) return { path, message };
    const { file, line, column } = place;
    if (resolve(file) === this.#file) return { path, message, line, column };
    const shown = relative(dirname(this.#file), file);
    return { path, message: `${message} (${shown}:${line}:${column})` };
  }
}

/**
 * Runs a program that describes a pipeline, in a process of its own, and gives the text of the pipeline file. It is run
 * where the user runs Berth, with what the user may do; a server never does. What it prints goes to stderr.
 */
export function compileProgram(file: string, language: Language, options: ProgramOptions = {}): CompiledProgram {
  const path = resolve(file);
  const scratch = mkdtempSync(join(tmpdir(), "berth-compile-"));
  try {
    const result = join(scratch, "result.json");
    const [program, ...args] = language.argv(join(import.meta.dirname, "../../../sdk"), options);
    const ended = spawnSync(program, [...args, path], {
      cwd: dirname(path),
      stdio: ["ignore", 2, 2],
      env: { ...process.env, ...language.env, BERTH_COMPILE_RESULT: result },
      timeout: COMPILE_TIMEOUT_MS,
      killSignal: "SIGKILL",
    });
    const error: NodeJS.ErrnoException | undefined = ended.error;
    if (error?.code === "ENOENT") throw usageError(`${file} needs ${language.name}: there is no program ${program}.`);
    if (error?.code === "ETIMEDOUT") {
      throw new CliError(`${file} did not end within ${COMPILE_TIMEOUT_MS / 1000} s.`, { exitCode: EXIT.usage });
    }
    if (error !== undefined) throw error;
    return compiled(file, readResult(result) ?? failed(file, ended.status ?? ended.signal));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function readResult(path: string): z.infer<typeof Result> | null {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
  return Result.parse(JSON.parse(text));
}

function failed(file: string, status: number | NodeJS.Signals | null): never {
  throw new CliError(`${file} ended with ${status} before it had described a pipeline.`, { exitCode: EXIT.usage });
}

function compiled(file: string, result: z.infer<typeof Result>): CompiledProgram {
  if ("problems" in result) {
    const places = new Places(file, {});
    return { ok: false, problems: result.problems.map(({ message, path, place }) => places.at(place, path, message)) };
  }
  const text = pipelineText(basename(file), result.pipeline);
  if (Buffer.byteLength(text) > FILE_MAX_BYTES) {
    throw usageError(`${file} describes a pipeline file of more than ${FILE_MAX_BYTES} bytes, which is the most.`);
  }
  return { ok: true, text, places: new Places(file, result.places) };
}

/** The same pipeline is always the same text. */
function pipelineText(file: string, pipeline: Readonly<Record<string, unknown>>): string {
  const body = stringify(pipeline, { lineWidth: 0, aliasDuplicateObjects: false });
  return `# Made from ${file} by berth compile: change that file, and compile it again.\n${body}`;
}
