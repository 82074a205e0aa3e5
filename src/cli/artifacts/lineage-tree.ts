import type { Lineage, LineageRun, LineageStep, LineageVersion } from "../../protocol/lineage.ts";
import { formatSize } from "../../std/format-size.ts";
import { plainText } from "../terminal/plain-text.ts";
import type { Style } from "../terminal/style.ts";

/** So many items are named; of more there is only the count. */
const ITEMS_NAMED = 3;
const PARAM_MAX_CHARS = 40;

interface Branch {
  readonly text: string;
  readonly branches: readonly Branch[];
}

type Way = "up" | "down";

/** A lineage as trees for people: what each version was made from, what it was used for, and the runs that did it. */
export function renderLineage(lineage: Lineage, style: Style): string[] {
  const roots = lineage.versions.filter(({ isRoot }) => isRoot);
  const ways: readonly Way[] = lineage.direction === "both" ? ["up", "down"] : [lineage.direction];
  const lines = roots.flatMap((root) => [
    style.bold(root.id) + style.dim(describe(root)),
    ...ways.flatMap((way) => {
      const branches = new TreeOf(lineage, way, style).below(root);
      if (branches.length === 0) return way === "down" ? [style.dim("  used by nothing yet")] : [];
      return [style.dim(way === "up" ? "  made by" : "  used by"), ...draw(branches, "  ")];
    }),
    "",
  ]);
  return [...lines, ...lineage.runs.map((run) => runLine(run, style))];
}

class TreeOf {
  readonly #lineage: Lineage;
  readonly #way: Way;
  readonly #style: Style;
  /** What stands on several paths is drawn at the first of them. */
  readonly #drawn = new Set<string>();
  readonly #versions: ReadonlyMap<string, LineageVersion>;
  readonly #steps: ReadonlyMap<string, LineageStep>;

  constructor(lineage: Lineage, way: Way, style: Style) {
    this.#lineage = lineage;
    this.#way = way;
    this.#style = style;
    this.#versions = new Map(lineage.versions.map((version) => [version.id, version]));
    this.#steps = new Map(lineage.steps.map((step) => [step.id, step]));
  }

  below(version: LineageVersion): readonly Branch[] {
    const steps = this.#neighbours(this.#way === "up" ? "made" : "read", ({ version: id }) => id === version.id);
    return [...steps.entries()].map(([id, inputs]) => this.#step(id, inputs));
  }

  #step(id: string, inputs: readonly string[]): Branch {
    const step = this.#steps.get(id)!;
    const as = inputs.length === 0 ? "" : ` as ${inputs.join(", ")}`;
    const count = step.stepRuns === 1 ? "" : `, ${step.stepRuns} step runs`;
    const takers = step.takenOverBy.map(({ name }) => name).join(", ");
    const details = `${as}${count}${takers === "" ? "" : `, taken over by ${takers}`}`;
    const runName = id.slice(0, id.lastIndexOf("/"));
    const text = `${this.#style.cyan(step.step)} in ${runName}${this.#style.dim(details)}`;
    return this.#once(id, text, () => {
      const kind = this.#way === "up" ? "read" : "made";
      const versions = Map.groupBy(
        this.#lineage.edges.filter((edge) => edge.kind === kind && edge.step === id),
        (edge) => edge.version,
      );
      return [...versions].map(([version, edges]) => {
        const names = edges.flatMap((edge) => (edge.kind === "read" ? [edge.input] : []));
        return this.#version(version, names);
      });
    });
  }

  #version(id: string, inputs: readonly string[]): Branch {
    const version = this.#versions.get(id)!;
    const name = inputs.length === 0 ? "" : `${inputs.join(", ")}: `;
    return this.#once(id, `${name}${id}${this.#style.dim(describe(version))}`, () => this.below(version));
  }

  #once(id: string, text: string, branches: () => readonly Branch[]): Branch {
    if (this.#drawn.has(id)) return { text: `${text}${this.#style.dim(" (see above)")}`, branches: [] };
    this.#drawn.add(id);
    return { text, branches: branches() };
  }

  /** Steps at the other end of such edges, each with the names under which it read. */
  #neighbours(kind: "made" | "read", holds: (edge: Lineage["edges"][number]) => boolean): Map<string, string[]> {
    const steps = new Map<string, string[]>();
    for (const edge of this.#lineage.edges) {
      if (edge.kind !== kind || !holds(edge)) continue;
      const inputs = steps.get(edge.step) ?? [];
      steps.set(edge.step, edge.kind === "read" ? [...inputs, edge.input] : inputs);
    }
    return steps;
  }
}

function describe({ items, itemNames, size, expired }: LineageVersion): string {
  const named = itemNames.length > 0 && items <= ITEMS_NAMED ? ` (${itemNames.map(plainText).join("; ")})` : "";
  const count = items === 1 ? named : `, ${items} items${named}`;
  const gone = expired === 0 ? "" : expired === items ? ", expired" : `, ${expired} of them expired`;
  return `${count}, ${formatSize(size)}${gone}`;
}

function runLine({ name, pipelineVersion, params, source, restartOf, createdBy }: LineageRun, style: Style): string {
  const values = Object.entries(params).map(([key, value]) => `${key}=${clipped(plainText(String(value)))}`);
  const facts = [
    `version ${pipelineVersion} of its pipeline`,
    ...values,
    source === null ? "no source" : `source ${source.slice(0, 12)}`,
    ...(restartOf === null ? [] : [`a restart of ${restartOf.name}`]),
    `by ${plainText(createdBy)}`,
  ];
  return `${style.bold(name)}  ${facts.join(", ")}`;
}

function clipped(text: string): string {
  return text.length <= PARAM_MAX_CHARS ? text : `${text.slice(0, PARAM_MAX_CHARS - 1)}…`;
}

function draw(branches: readonly Branch[], indent: string): string[] {
  return branches.flatMap(({ text, branches: below }, index) => {
    const isLast = index === branches.length - 1;
    return [`${indent}${isLast ? "└─ " : "├─ "}${text}`, ...draw(below, `${indent}${isLast ? "   " : "│  "}`)];
  });
}
