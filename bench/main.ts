import { readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { artifactHandOver } from "./artifact-hand-over.ts";
import { folderStore, s3Store } from "./artifact-store.ts";
import { cachedSteps } from "./cached-steps.ts";
import { cancelled } from "./cancel.ts";
import { claims } from "./claims.ts";
import { dockerSteps } from "./docker-steps.ts";
import { expiry } from "./expiry.ts";
import { hardenedContainers } from "./hardened.ts";
import { logWindows } from "./log-windows.ts";
import { lookups } from "./lookups.ts";
import { masking } from "./masking.ts";
import { pageWith } from "./page.ts";
import { platformCost } from "./platform-cost.ts";
import { processSteps } from "./process-steps.ts";
import { reattached } from "./reattach.ts";
import { type Finding, holds, toMarkdown } from "./report.ts";
import { retried } from "./retry.ts";
import { runLists } from "./run-lists.ts";
import { smallCommits } from "./small-commits.ts";
import { usageSampling } from "./usage.ts";

/**
 * `npm run bench -- [NAME…] [--rounds=10] [--write]`: measures Berth against the raw tools in the same run. Exits 1
 * when a ratio misses its limit. With `--write`, docs/benchmarks.md says what was measured.
 */
const ROUNDS = 10;
const BENCHMARKS: Readonly<Record<string, (rounds: number) => Promise<Finding>>> = {
  docker: dockerSteps,
  hardened: hardenedContainers,
  process: processSteps,
  artifact: artifactHandOver,
  store: folderStore,
  s3: s3Store,
  cached: cachedSteps,
  claims,
  expiry,
  lookups,
  lists: runLists,
  logs: logWindows,
  commits: smallCommits,
  cancel: cancelled,
  retry: retried,
  restart: reattached,
  masking,
  platform: platformCost,
  usage: usageSampling,
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
if (args.includes("--write")) {
  const page = resolve(import.meta.dirname, "../docs/benchmarks.md");
  writeFileSync(page, pageWith(readFileSync(page, "utf8"), findings, args));
}
if (!findings.flatMap(({ ratios }) => ratios).every(holds)) process.exitCode = 1;
