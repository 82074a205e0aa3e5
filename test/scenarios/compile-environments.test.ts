import assert from "node:assert/strict";
import { after, test } from "node:test";
import { parse } from "yaml";
import { ScenarioPlatform } from "./platform.ts";

const platform = new ScenarioPlatform();
after(() => platform[Symbol.asyncDispose]());

const ENVIRONMENTS = {
  own: {
    dockerfile: "Dockerfile",
    args: { VERSION: "3" },
    secrets: ["INDEX_TOKEN", { name: "INDEX_TOKEN", id: "netrc" }],
    target: "last",
  },
  recipe: {
    base: "python:3.12-slim",
    python: { packages: ["ours>=1"], index: ["https://a.example/simple", "https://b.example/simple"] },
    node: { packages: ["@acme/ours"], scopes: { "@acme": "https://c.example:8443" } },
    credentials: { "a.example": { user: "ci", secret: "INDEX_PASSWORD" }, "c.example:8443": "INDEX_TOKEN" },
  },
};

const PYTHON = `
import berth
with berth.Pipeline("compiled", environments=ENVIRONMENTS) as flow:
    for name in ENVIRONMENTS:
        flow.shell(f"use-{name}", "true", environment=name)
`;

const TYPESCRIPT = `
import { pipeline, step } from "berth-sdk";
export default pipeline("compiled", { environments: ENVIRONMENTS }, () => {
  for (const name of Object.keys(ENVIRONMENTS)) step("use-" + name, { run: "true", environment: name });
});
`;

test("builds with secrets, arguments and credentials are the same written in Python, in TypeScript, and as a file", async () => {
  platform.write("Dockerfile", "FROM x AS last\n");
  const json = JSON.stringify(ENVIRONMENTS);
  const files = [
    platform.write("flow.py", `ENVIRONMENTS = ${json}\n${PYTHON}`),
    platform.write("flow.ts", `const ENVIRONMENTS = ${json} as const;\n${TYPESCRIPT}`),
  ];
  for (const file of files) {
    const { code, stdout, stderr } = await platform.berth("compile", file);
    assert.equal(code, 0, stderr);
    const { environments } = parse(stdout);
    assert.deepEqual(environments.own, ENVIRONMENTS.own);
    assert.deepEqual({ ...environments.recipe, source: undefined }, { ...ENVIRONMENTS.recipe, source: undefined });
    const valid = await platform.berth("validate", platform.write("compiled.yaml", stdout));
    assert.equal(valid.code, 0, valid.stderr);
  }
});
