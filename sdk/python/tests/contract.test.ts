import { join } from "node:path";
import { test } from "node:test";
import { type ContractSdk, contractCases, runCase } from "../../contract/run-case.ts";
import { pythons } from "./pythons.ts";

for (const { version, path } of pythons()) {
  const sdk: ContractSdk = {
    language: "python",
    argv: [path, "-B", join(import.meta.dirname, "../run_step.py")],
    cwd: import.meta.dirname,
    module: "contract_steps",
  };
  test(`the cases of all SDKs hold for Python ${version}`, { concurrency: 4 }, async (t) => {
    for (const { file, case: each } of contractCases()) {
      if (each.languages?.includes("python") === false) continue;
      void t.test(`${file}: ${each.title}`, () => runCase(sdk, each));
    }
  });
}
