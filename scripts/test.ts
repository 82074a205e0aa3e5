import { spawn, spawnSync } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { ensureBrowser } from "../test/setup/browser.ts";
import { startTestCluster } from "../test/setup/database.ts";
import { testDebianImage } from "../test/setup/debian-image.ts";
import { ensureDocker } from "../test/setup/docker.ts";
import { ensureKmsProgram } from "../test/setup/kms-server.ts";
import { ensureS3Program } from "../test/setup/s3-program.ts";

/**
 * Runs every test, or those whose path contains one of the arguments, against one real PostgreSQL, a real Docker Engine,
 * which it starts where none runs, and a real S3 server, which it compiles once per machine. What recipes start from, a small
 * Debian, is made once per engine. Fails when the tests leave containers behind.
 */

const root = resolve(import.meta.dirname, "..");
/** Files run side by side; the tests wait more than they compute. */
const CONCURRENCY = 3;
/** A hanging test is ended with its name instead of hanging the whole run. */
const TEST_TIMEOUT_MS = 300_000;

const wanted = process.argv.slice(2);
const matching = globSync(["src/**/*.test.ts", "test/**/*.test.ts", "sdk/**/*.test.ts", "bench/**/*.test.ts"], {
  cwd: root,
})
  .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
  .sort();
if (matching.length === 0) {
  process.stderr.write(`no test file matches ${wanted.join(" ")}\n`);
  process.exit(2);
}

const withServers = await withPrograms(matching);
await using docker = await ensureDocker();
const files = await withNeeded(withServers, "package-recipes", testDebianImage);
// Without a name, Node would look for tests by itself.
if (files.length === 0) throw new Error("There is no test left to run.");
await using cluster = await startTestCluster();
const before = containers();

const status = await new Promise<number>((done) => {
  const child = spawn(
    process.execPath,
    ["--test", `--test-concurrency=${CONCURRENCY}`, `--test-timeout=${TEST_TIMEOUT_MS}`, ...files],
    { cwd: root, stdio: "inherit", env: { ...process.env, BERTH_TEST_DATABASE_URL: cluster.url } },
  );
  child.once("exit", (code) => done(code ?? 1));
});
process.exitCode = status;

const left = [...containers()].filter((id) => !before.has(id));
if (left.length > 0) {
  process.stderr.write(`\nthe tests left ${left.length} containers behind: ${left.join(" ")}\n`);
  process.exitCode = 1;
}

function containers(): Set<string> {
  const listed = spawnSync("docker", ["ps", "--all", "--quiet", "--filter", "label=berth.installation"], {
    encoding: "utf8",
    env: { ...process.env, ...(docker.host === undefined ? {} : { DOCKER_HOST: docker.host }) },
  });
  return new Set(listed.stdout.split("\n").filter((line) => line !== ""));
}

/** Programs of others: servers that tests talk to, a browser. */
async function withPrograms(all: readonly string[]): Promise<readonly string[]> {
  const withS3 = await withNeeded(all, "s3", ensureS3Program);
  const withKms = await withNeeded(withS3, "kms-server", ensureKmsProgram);
  return await withNeeded(withKms, "setup/browser", ensureBrowser);
}

/**
 * Has something that tests need, which may take longer to make than a test is given. Where that cannot be, the files that
 * need it are left out and named; but not where nobody reads that.
 */
async function withNeeded(
  all: readonly string[],
  mark: string,
  ensure: () => Promise<string>,
): Promise<readonly string[]> {
  const needsIt = (file: string) => readFileSync(resolve(root, file), "utf8").includes(mark);
  if (!all.some(needsIt)) return all;
  try {
    await ensure();
    return all;
  } catch (error) {
    if (process.env.CI !== undefined) throw error;
    process.stderr.write(`${(error as Error).message}\nLeft out are:\n  ${all.filter(needsIt).join("\n  ")}\n`);
    return all.filter((file) => !needsIt(file));
  }
}
