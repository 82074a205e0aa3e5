/** What a benchmark found: rows for people, and the ratios that are held against their limits. */
export interface Finding {
  readonly title: string;
  /** First row is the header. */
  readonly table: readonly (readonly string[])[];
  readonly ratios: readonly Ratio[];
  readonly notes?: readonly string[];
}

export interface Ratio {
  readonly what: string;
  readonly value: number;
  /** Exactly one of the two. */
  readonly atMost?: number;
  readonly atLeast?: number;
}

/** Whether a ratio keeps its limit. */
export function holds({ value, atMost, atLeast }: Ratio): boolean {
  return (atMost === undefined || value <= atMost) && (atLeast === undefined || value >= atLeast);
}

/** A finding as Markdown. */
export function toMarkdown(finding: Finding): string {
  const [header, ...rows] = finding.table;
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const limit = (ratio: Ratio) => (ratio.atMost === undefined ? `≥ ${ratio.atLeast}` : `≤ ${ratio.atMost}`);
  return [
    `## ${finding.title}`,
    "",
    ...(header === undefined ? [] : [line(header), line(header.map(() => "---")), ...rows.map(line), ""]),
    ...(finding.ratios.length === 0
      ? []
      : [
          line(["ratio", "measured", "limit", ""]),
          line(["---", "---", "---", "---"]),
          ...finding.ratios.map((ratio) =>
            line([ratio.what, ratio.value.toFixed(2), limit(ratio), holds(ratio) ? "kept" : "**missed**"]),
          ),
          "",
        ]),
    ...(finding.notes ?? []).map((note) => `${note}\n`),
  ].join("\n");
}
