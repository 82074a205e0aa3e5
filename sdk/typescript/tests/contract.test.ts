import { join } from "node:path";
import { test } from "node:test";
import { type ContractSdk, contractCases, runCase } from "../../contract/run-case.ts";

const SDK: ContractSdk = {
  language: "typescript",
  argv: [process.execPath, join(import.meta.dirname, "../run-step.js")],
  cwd: import.meta.dirname,
  module: "contract_steps.ts",
};

test("the cases of all SDKs hold for TypeScript", { concurrency: 4 }, async (t) => {
  for (const { file, case: each } of contractCases()) {
    if (each.languages?.includes("typescript") === false) continue;
    void t.test(`${file}: ${each.title}`, () => runCase(SDK, each));
  }
});
