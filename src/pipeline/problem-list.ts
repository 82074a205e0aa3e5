import type { Problem } from "../protocol/errors.ts";
import type { PipelineDocument } from "./document.ts";
import { formatPath, type Path, PROBLEMS_MAX } from "./problem.ts";

/**
 * What is at fault at a path: its value; the entry as a whole, shown where its key stands; or the key, which has no
 * place there, so that the problem is one of the mapping around it.
 */
export type FaultyPart = "value" | "entry" | "key";

/** Collects what is wrong with a file, with positions; beyond the limit it only counts. */
export class ProblemList {
  readonly #document: PipelineDocument;
  readonly #problems: Problem[] = [];
  #more = 0;

  constructor(document: PipelineDocument) {
    this.#document = document;
  }

  get isEmpty(): boolean {
    return this.#problems.length === 0;
  }

  /** `message` may be a function where it takes work, such as the search for a suggestion. */
  add(path: Path, message: string | (() => string), part: FaultyPart = "value"): void {
    if (this.#problems.length >= PROBLEMS_MAX) {
      this.#more++;
      return;
    }
    const shown = part === "key" ? path.slice(0, -1) : path;
    this.#problems.push({
      path: formatPath(shown),
      message: typeof message === "string" ? message : message(),
      ...this.#document.position(path, part === "value" ? "value" : "key"),
    });
  }

  /** In the order of the file. */
  toArray(): Problem[] {
    const sorted = this.#problems.toSorted((a, b) => a.line! - b.line! || a.column! - b.column!);
    return this.#more === 0 ? sorted : [...sorted, { path: "", message: `… and ${this.#more} more problems` }];
  }
}
