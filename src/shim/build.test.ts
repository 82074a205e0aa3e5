import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { test } from "node:test";
import { shimPath } from "./shim-path.ts";

/** The compiler that made the committed binaries: another version may rightly produce other bytes. */
const COMPILER_VERSION = "12.2.0";
const TRIPLETS = { x64: "x86_64-linux-gnu", arm64: "aarch64-linux-gnu" } as const;

for (const [arch, triplet] of Object.entries(TRIPLETS)) {
  const version = spawnSync(`${triplet}-gcc`, ["-dumpfullversion"]).stdout?.toString().trim();
  const skip = version !== COMPILER_VERSION && `needs ${triplet}-gcc ${COMPILER_VERSION}, found ${version || "none"}`;
  test(`the committed shim for ${arch} is what build.sh makes of the source`, { skip }, () => {
    const folder = mkdtempSync(join(tmpdir(), "berth-shim-build-"));
    try {
      execFileSync(join(import.meta.dirname, "build.sh"), [folder, arch]);
      const committed = readFileSync(shimPath(arch));
      assert.ok(
        readFileSync(join(folder, basename(shimPath(arch)))).equals(committed),
        "run src/shim/build.sh and commit",
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
}

test("an architecture without a shim is refused by name", () => {
  assert.throws(() => shimPath("riscv64"), /no shim for riscv64/);
});
