import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";
import { ensureDocker, type TestDocker } from "../setup/docker.ts";
import { testNodeImage } from "../setup/node-image.ts";
import { ScenarioPlatform } from "./platform.ts";

/** A pipeline that is written in TypeScript, from its program to what its last step wrote. */

const WINE = resolve(import.meta.dirname, "../../sdk/typescript/tests/fixtures/wine");

const platform = new ScenarioPlatform();
let docker: TestDocker;
before(async () => {
  docker = await ensureDocker();
});
after(async () => {
  await platform[Symbol.asyncDispose]();
  await docker[Symbol.asyncDispose]();
});

/** The only file of an artifact, as text. */
async function text(artifact: string, folder: string): Promise<string> {
  const { code, stderr } = await platform.berth("artifacts", "get", artifact, "-o", join(platform.folder, folder));
  assert.equal(code, 0, stderr);
  const [name, ...more] = readdirSync(join(platform.folder, folder));
  assert.deepEqual(more, []);
  return readFileSync(join(platform.folder, folder, name!), "utf8");
}

for (const backend of ["process", "docker"] as const) {
  test(`a pipeline in TypeScript runs as it is, with matrix, batch and gathered outputs, on ${backend}`, async () => {
    const image = backend === "docker" ? await testNodeImage() : "none";
    platform.write("steps.ts", readFileSync(join(WINE, "steps.ts"), "utf8"));
    const program = readFileSync(join(WINE, "pipeline.ts"), "utf8");
    const file = platform.write(
      "pipeline.ts",
      program.replace("node:24-slim", image).replace('"wine"', `"wine-${backend}"`),
    );
    const { code, stdout, stderr } = await platform.berth("run", file, "--backend", backend, "--param", "seed=3");
    assert.equal(code, 0, `${stdout}\n${stderr}`);
    await platform.tidy();
    // Of four rows with 0, 3, 1 and 4 points the last two are scored, each for two models.
    assert.deepEqual(JSON.parse(await text(`wine-${backend}/tell/result`, `told-${backend}`)), {
      title: "Wine",
      sum: 10,
    });
    assert.match(await text(`wine-${backend}/shout/loud`, `loud-${backend}`), /^\{"TITLE":"WINE","SUM":10\}$/);
  });
}
