import { closeSync, lstatSync, readSync, type Stats } from "node:fs";
import { basename, join } from "node:path";
import { isCustomType } from "../pipeline/artifact-type.ts";
import type { Content } from "../protocol/artifacts.ts";
import { type Fault, fault } from "../protocol/faults.ts";
import type { OutputPlan } from "../protocol/plan.ts";
import { openPlainFile } from "../std/open-plain-file.ts";
import { relativePathProblem } from "../std/relative-path.ts";
import type { BlobSource, RuntimeContext } from "./attempt-work.ts";
import { collectFile } from "./collect-file.ts";
import { collectFolder } from "./collect-folder.ts";
import { BEGINNING_BYTES, contentTypeOf, FOLDER_CONTENT_TYPE } from "./content-type.ts";
import { OutputBudget, OutputProblem } from "./output-problem.ts";

export interface Collected {
  /** What could be taken, in the cache. */
  readonly outputs: Readonly<Record<string, Content>>;
  /** What could not, one fault per output. */
  readonly faults: readonly Fault[];
  /** What was taken as it is, and may surprise. */
  readonly warnings: readonly string[];
}

interface CollectOptions {
  readonly cache: BlobSource;
  readonly limits: RuntimeContext["limits"];
  readonly signal: AbortSignal;
}

/**
 * Takes the declared outputs out of an attempt folder whose step has ended, all its processes with it. Whatever lies
 * there was made by untrusted code: nothing is read through a link, and only plain files and folders are taken.
 * Collecting again gives the same result, since files stay where they are.
 */
export async function collectOutputs(
  folder: string,
  declared: Readonly<Record<string, OutputPlan>>,
  options: CollectOptions,
): Promise<Collected> {
  const budget = new OutputBudget(options.limits);
  const outputs: Record<string, Content> = {};
  const faults: Fault[] = [];
  const warnings: string[] = [];
  for (const [name, plan] of Object.entries(declared)) {
    try {
      const warn = (warning: string) => warnings.push(`Output ${name}: ${warning}.`);
      const content = await collectOutput(folder, plan, { ...options, budget, warn });
      if (content !== null) outputs[name] = content;
      else if (!plan.optional) throw new OutputProblem("output-missing", `nothing was written to out/${plan.path}`);
    } catch (error) {
      if (!(error instanceof OutputProblem)) throw error;
      faults.push(fault(error.code, `Output ${name}: ${error.message}.`));
    }
  }
  return { outputs, faults, warnings };
}

async function collectOutput(
  folder: string,
  plan: OutputPlan,
  options: CollectOptions & { readonly budget: OutputBudget; warn(warning: string): void },
): Promise<Content | null> {
  const found = findOutput(folder, plan.path);
  if (found === null) return null;
  options.budget.takeEntry();
  const fileName = basename(plan.path);
  if (found.stats.isDirectory()) {
    // `file` is the default type, so it also stands for "as it comes", and types of the step's own may be either.
    if (plan.type !== "folder" && plan.type !== "file" && !isCustomType(plan.type)) throw wrongKind(plan, "a folder");
    const { manifest, bytes, fileCount, warning } = await collectFolder(found.host, folder, options);
    if (warning !== null) options.warn(warning);
    const contentType = FOLDER_CONTENT_TYPE;
    return { kind: "folder", digest: manifest.digest, size: bytes, fileName, contentType, fileCount };
  }
  if (plan.type === "folder") throw wrongKind(plan, "a file");
  const { digest, size } = await collectFile(found.host, found.stats, options);
  return {
    kind: "file",
    digest,
    size,
    fileName,
    contentType: contentTypeOf(fileName, () => readBeginning(found.host)),
    fileCount: 1,
  };
}

/** Empty where it cannot be read: then there is nothing to tell by. */
function readBeginning(path: string): Buffer {
  const fd = openPlainFile(path);
  if (typeof fd === "string") return Buffer.alloc(0);
  try {
    const bytes = Buffer.alloc(BEGINNING_BYTES);
    return bytes.subarray(0, readSync(fd, bytes, 0, BEGINNING_BYTES, 0));
  } finally {
    closeSync(fd);
  }
}

/** Goes down to the output step by step, so that no link on the way leads elsewhere; null when it was not written. */
function findOutput(folder: string, declared: string): { readonly host: string; readonly stats: Stats } | null {
  // `plots/` is how people write a folder.
  const path = declared.replace(/\/+$/, "");
  const problem = relativePathProblem(path);
  if (problem !== null)
    throw new OutputProblem("output-unsafe", `its path ${JSON.stringify(path)} is refused: ${problem}`);
  let host = join(folder, "out");
  let stats = look(host, "out");
  for (const name of path.split("/")) {
    if (stats === null) return null;
    if (!stats.isDirectory()) throw new OutputProblem("output-unsafe", `${host} is no folder`);
    host = join(host, name);
    stats = look(host, `out/${path}`);
  }
  return stats === null ? null : { host, stats };
}

function look(host: string, shown: string): Stats | null {
  const stats = lstatSync(host, { throwIfNoEntry: false });
  if (stats === undefined) return null;
  if (stats.isSymbolicLink()) throw new OutputProblem("output-unsafe", `${shown} is, or lies behind, a symbolic link`);
  if (!stats.isFile() && !stats.isDirectory()) {
    throw new OutputProblem("output-unsafe", `${shown} is a device, FIFO or socket`);
  }
  return stats;
}

function wrongKind(plan: OutputPlan, found: string): OutputProblem {
  return new OutputProblem(
    "output-missing",
    `out/${plan.path} is ${found}, but the output is declared as ${plan.type}`,
  );
}
