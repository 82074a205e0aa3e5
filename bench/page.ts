import { execFileSync } from "node:child_process";
import os from "node:os";
import { type Finding, toMarkdown } from "./report.ts";

const HEAD = `# Benchmarks

Ratios against the raw tool, measured in turn in the same run; medians. Only the ratios mean something on another
machine: the absolute figures are of one shared and noisy machine.
`;

/** The page with these findings in the place of earlier ones of the same title; what was not measured stays as it was. */
export function pageWith(page: string, findings: readonly Finding[], args: readonly string[]): string {
  const [, ...known] = page.split(/^(?=## )/m);
  const sections = new Map(known.map((section) => [section.split("\n", 1)[0]!, `${section.trimEnd()}\n`]));
  for (const finding of findings) {
    sections.set(`## ${finding.title}`, `${toMarkdown(finding).trimEnd()}\n\n${circumstances(args)}\n`);
  }
  return [HEAD, ...sections.values()].join("\n");
}

function circumstances(args: readonly string[]): string {
  const commit = execFileSync("git", ["describe", "--always", "--dirty=+"], { encoding: "utf8" }).trim();
  const machine = `${os.cpus()[0]?.model ?? "unknown"}, ${os.availableParallelism()} cores, ${os.type()} ${os.release()}`;
  const command = ["npm run bench --", ...args].join(" ");
  return `*\`${command}\` at ${commit}, ${new Date().toISOString().slice(0, 10)}, ${machine}, Node ${process.version}.*`;
}
