import { spawnSync } from "node:child_process";
import { resolve } from "node:path";

/** Everything that can be said about the code without running it. Stops at nothing, so that one run shows it all. */

const root = resolve(import.meta.dirname, "..");

const CHECKS: readonly { readonly name: string; readonly command: readonly string[] }[] = [
  { name: "format and lint", command: ["biome", "check", "--error-on-warnings", "."] },
  { name: "types", command: ["tsc", "--noEmit"] },
  { name: "types of the web UI", command: ["tsc", "--project", "web"] },
  { name: "types of the TypeScript SDK", command: ["tsc", "--project", "sdk/typescript"] },
  {
    name: "type-aware lint",
    command: [
      "oxlint",
      "--type-aware",
      "--deny-warnings",
      "src",
      "scripts",
      "bench",
      "test",
      "sdk/contract",
      "sdk/python",
      "web/src",
    ],
  },
  { name: "import table", command: ["node", "--test", "--test-reporter=dot", "test/architecture.test.ts"] },
  { name: "JSON Schema is current", command: ["node", "scripts/write-schema.ts", "--check"] },
];

const failed: string[] = [];
for (const { name, command } of CHECKS) {
  const [program, ...args] = command as [string, ...string[]];
  const startedAt = performance.now();
  const result = spawnSync(resolve(root, "node_modules/.bin", program), args, { cwd: root, stdio: "inherit" });
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  const ok = result.status === 0;
  if (!ok) failed.push(name);
  process.stdout.write(`${ok ? "ok    " : "FAILED"} ${name} (${seconds} s)\n`);
}
if (failed.length > 0) {
  process.stderr.write(`\nfailed: ${failed.join(", ")}\n`);
  process.exitCode = 1;
}
