import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { removeTree } from "../../src/std/remove-tree.ts";
import { startTestCluster } from "../setup/database.ts";
import { MUTANTS, type Mutant, mutate } from "./mutants.ts";

/**
 * `npm run break-invariants [-- N …]`: breaks each invariant (or those with these numbers) in a copy of the tree, runs
 * the test that is there for it, and prints which mutants were caught. Exits 1 when one was not, and when a test fails
 * without any change, so that its failing says nothing.
 */

const root = resolve(import.meta.dirname, "../..");
const COPIED = ["src", "test", "sdk", "scripts", "package.json", "tsconfig.json", "ARCHITECTURE.md"];
const TEST_TIMEOUT_MS = 120_000;

const wanted = process.argv.slice(2).map(Number);
const mutants = MUTANTS.filter(({ invariant }) => wanted.length === 0 || wanted.includes(invariant));

const folder = mkdtempSync(join(tmpdir(), "berth-mutants-"));
try {
  for (const name of COPIED) cpSync(join(root, name), join(folder, name), { recursive: true });
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  await using cluster = await startTestCluster();
  process.stdout.write("invariant  caught  broken so that Berth …\n");
  for (const mutant of mutants) {
    const verdict = tryMutant(mutant, cluster.url);
    if (verdict !== "yes") process.exitCode = 1;
    process.stdout.write(`${String(mutant.invariant).padEnd(11)}${verdict.padEnd(8)}${mutant.does}\n`);
    process.stdout.write(`${" ".repeat(19)}by "${mutant.test[1]}"\n`);
  }
} finally {
  await removeTree(folder);
}

function tryMutant(mutant: Mutant, databaseUrl: string): "yes" | "NO" | "broken" {
  const file = join(folder, mutant.file);
  const text = readFileSync(file, "utf8");
  if (runTest(mutant, databaseUrl) !== "passed") return "broken";
  writeFileSync(file, mutate(mutant, text));
  try {
    return runTest(mutant, databaseUrl) === "failed" ? "yes" : "NO";
  } finally {
    writeFileSync(file, text);
  }
}

/** What became of the one test; null when it was not run at all, such as when a file could not be loaded. */
function runTest({ test: [file, title] }: Mutant, databaseUrl: string): "passed" | "failed" | null {
  const pattern = `^${title.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}$`;
  const args = ["--test", "--test-reporter=tap", `--test-name-pattern=${pattern}`, `--test-timeout=${TEST_TIMEOUT_MS}`];
  const { stdout } = spawnSync(process.execPath, [...args, file], {
    cwd: folder,
    encoding: "utf8",
    env: { ...process.env, BERTH_TEST_DATABASE_URL: databaseUrl },
  });
  const result = stdout.split("\n").find((line) => /^(not )?ok \d+ - /.test(line) && line.includes(tapTitle(title)));
  if (result === undefined) return null;
  return result.startsWith("ok") ? "passed" : "failed";
}

/** As the TAP reporter writes it. */
function tapTitle(title: string): string {
  return title.replaceAll("\\", "\\\\").replaceAll("#", "\\#");
}
