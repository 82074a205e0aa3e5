import { createHash } from "node:crypto";
import { readDocument } from "../../pipeline/document.ts";
import type { Path } from "../../pipeline/problem.ts";
import { ProblemList } from "../../pipeline/problem-list.ts";
import { shapeProblems } from "../../pipeline/shape-problems.ts";
import type { Problem } from "../../protocol/errors.ts";
import { PolicyFile } from "./policy-schema.ts";
import { policySummary } from "./policy-summary.ts";

/** What this worker lets steps ask for. It is read once, at the start, and nobody but the worker's owner changes it. */
export interface WorkerPolicy {
  readonly rules: PolicyFile;
  /** Of the file's text, and what it says in short; null where there is no file. */
  readonly described: { readonly digest: string; readonly summary: readonly string[] } | null;
  /** `policy.yaml:7: - network`: the line that decides, for whoever is refused. */
  quote(path: Path, part?: "key" | "value"): string;
}

/** Of a worker without a policy file. */
export const OPEN_POLICY: WorkerPolicy = {
  rules: {},
  described: null,
  quote: () => "this worker has no policy file",
};

export type ReadPolicy =
  | { readonly ok: true; readonly policy: WorkerPolicy }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Reads a policy, YAML or JSON. One mistake and there is none: a rule that is misspelt must not be a rule that is not there. */
export function readPolicy(text: string, file: string): ReadPolicy {
  const read = readDocument(text);
  if (!read.ok) return read;
  const { document } = read;
  const parsed = PolicyFile.safeParse(document.value);
  if (!parsed.success) {
    const problems = new ProblemList(document);
    for (const { path, message, part } of shapeProblems(parsed.error.issues, document.value)) {
      problems.add(path, message, part);
    }
    return { ok: false, problems: problems.toArray() };
  }
  const lines = text.split(/\r?\n/);
  const rules = parsed.data;
  return {
    ok: true,
    policy: {
      rules,
      described: { digest: createHash("sha256").update(text).digest("hex"), summary: policySummary(rules) },
      quote(path, part = "value") {
        const { line } = document.position(path, part);
        return `${file}:${line}: ${lines[line - 1]!.trim()}`;
      },
    },
  };
}
