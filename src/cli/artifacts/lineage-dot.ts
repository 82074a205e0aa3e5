import type { Lineage } from "../../protocol/lineage.ts";
import { formatSize } from "../../std/format-size.ts";
import { plainText } from "../terminal/plain-text.ts";

/** A lineage in the language of Graphviz: versions as boxes, steps as ellipses, arrows as the bytes went. */
export function lineageDot({ versions, steps, edges }: Lineage): string[] {
  return [
    "digraph lineage {",
    "  rankdir=LR;",
    '  node [fontname="sans-serif"];',
    ...versions.map(({ id, items, size, isRoot }) => {
      const count = items === 1 ? "" : `${items} items, `;
      const label = `${text(id)}\\n${count}${formatSize(size)}`;
      return `  ${quoted(id)} [shape=box, label="${label}"${isRoot ? ", penwidth=2" : ""}];`;
    }),
    ...steps.map(({ id, stepRuns }) => {
      const label = `${text(id)}${stepRuns === 1 ? "" : `\\n${stepRuns} step runs`}`;
      return `  ${quoted(`step ${id}`)} [shape=ellipse, label="${label}"];`;
    }),
    ...edges.map((edge) => {
      const step = quoted(`step ${edge.step}`);
      if (edge.kind === "made") return `  ${step} -> ${quoted(edge.version)};`;
      return `  ${quoted(edge.version)} -> ${step} [label=${quoted(edge.input)}];`;
    }),
    "}",
  ];
}

function quoted(value: string): string {
  return `"${text(value)}"`;
}

function text(value: string): string {
  return plainText(value).replaceAll("\\", "\\\\").replaceAll('"', '\\"');
}
