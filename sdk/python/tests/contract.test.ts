import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { type ContractSdk, contractCases, runCase } from "../../contract/run-case.ts";
import { pythons } from "./pythons.ts";
import { LIBRARIES, venvWith } from "./venv.ts";

function sdkOf(path: string): ContractSdk {
  return {
    language: "python",
    argv: [path, "-B", join(import.meta.dirname, "../run_step.py")],
    cwd: import.meta.dirname,
    module: "contract_steps",
  };
}

const cases = contractCases().filter(({ case: each }) => each.languages?.includes("python") !== false);

for (const { version, path } of pythons()) {
  test(`the cases of all SDKs hold for Python ${version}`, { concurrency: 4 }, async (t) => {
    for (const { file, case: each } of cases.filter(({ case: { needs } }) => needs === undefined)) {
      void t.test(`${file}: ${each.title}`, () => runCase(sdkOf(path), each));
    }
  });
}

test("the cases that need NumPy hold where it is installed, and without it the SDK says what to add", async (t) => {
  const needing = cases.filter(({ case: { needs } }) => needs !== undefined);
  const newest = pythons().at(-1)!;
  if (spawnSync(newest.path, ["-c", "import numpy"]).status !== 0) {
    const { case: first } = needing[0]!;
    const messageHas = ["numpy: add it to the packages of the step's environment"];
    const expect = {
      ...first.expect,
      exit: 1,
      outputs: {},
      described: {},
      error: { type: "application", messageHas },
    } as const;
    await t.test("without NumPy", () => runCase(sdkOf(newest.path), { ...first, expect: { ...expect } }));
  }
  const venv = venvWith(newest, LIBRARIES);
  if (venv === null) return t.skip("NumPy is not here, and no package registry can be reached");
  for (const { case: each } of needing) await t.test(each.title, () => runCase(sdkOf(join(venv, "bin/python")), each));
});
