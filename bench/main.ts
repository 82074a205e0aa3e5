import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import os from "node:os";
import { resolve } from "node:path";
import { artifactHandOver } from "./artifact-hand-over.ts";
import { dockerSteps } from "./docker-steps.ts";
import { platformCost } from "./platform-cost.ts";
import { processSteps } from "./process-steps.ts";
import { type Finding, holds, toMarkdown } from "./report.ts";

/**
 * `npm run bench -- [NAME…] [--rounds=10] [--write]`: measures Berth against the raw tools in the same run. Exits 1
 * when a ratio misses its limit. With `--write`, docs/benchmarks.md is written.
 */
const ROUNDS = 10;
const BENCHMARKS: Readonly<Record<string, (rounds: number) => Promise<Finding>>> = {
  docker: dockerSteps,
  process: processSteps,
  artifact: artifactHandOver,
  platform: platformCost,
};

const args = process.argv.slice(2);
const rounds = Number(args.find((arg) => arg.startsWith("--rounds="))?.slice("--rounds=".length) ?? ROUNDS);
const names = args.filter((arg) => !arg.startsWith("--"));
const unknown = names.filter((name) => !(name in BENCHMARKS));
if (unknown.length > 0) {
  process.stderr.write(`unknown benchmark ${unknown.join(", ")}; there are: ${Object.keys(BENCHMARKS).join(", ")}\n`);
  process.exit(2);
}

const findings: Finding[] = [];
for (const [name, measure] of Object.entries(BENCHMARKS)) {
  if (names.length > 0 && !names.includes(name)) continue;
  process.stderr.write(`measuring ${name} …\n`);
  const finding = await measure(rounds);
  findings.push(finding);
  process.stdout.write(`${toMarkdown(finding)}\n`);
}
if (args.includes("--write")) writeFileSync(resolve(import.meta.dirname, "../docs/benchmarks.md"), page(findings));
if (!findings.flatMap(({ ratios }) => ratios).every(holds)) process.exitCode = 1;

function page(all: readonly Finding[]): string {
  const commit = execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim();
  const machine = `${os.cpus()[0]?.model ?? "unknown"}, ${os.availableParallelism()} cores, ${os.type()} ${os.release()}`;
  return [
    "# Benchmarks",
    "",
    "Ratios against the raw tool, measured in turn in the same run; medians. Only the ratios mean something on another",
    "machine: the absolute figures are of one shared and noisy machine.",
    "",
    `Command: \`npm run bench -- ${args.join(" ")}\`. Commit ${commit}, ${new Date().toISOString().slice(0, 10)}, ${machine}, Node ${process.version}.`,
    "",
    ...all.map(toMarkdown),
  ].join("\n");
}
