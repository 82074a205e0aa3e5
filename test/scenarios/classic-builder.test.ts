import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { PackageIndex } from "../setup/package-index.ts";
import { buildBase, packageRecipes, startIndex, stepsOf, WORD } from "./package-recipes.ts";
import { ScenarioPlatform } from "./platform.ts";

const platform = new ScenarioPlatform();
/** Of this test alone, or images of an earlier one would be there already. */
const name = `classic-${randomBytes(4).toString("hex")}`;
const base = `berth-test/${name}:1`;
let index: PackageIndex;

before(async () => {
  const settings = join(platform.home, "local-agent/config.json");
  const chosen = { ...JSON.parse(readFileSync(settings, "utf8")), backends: { docker: { builder: "classic" } } };
  writeFileSync(settings, JSON.stringify(chosen));
  index = await startIndex(null);
  await buildBase(base, index);
});

after(async () => {
  await platform[Symbol.asyncDispose]();
  await index?.[Symbol.asyncDispose]();
  const images = docker("images", "--format", "{{.Repository}}:{{.Tag}}", `berth/${name}`).split("\n").filter(Boolean);
  docker("rmi", "--force", ...images, base);
});

function docker(...args: string[]): string {
  return execFileSync("docker", args, { encoding: "utf8" }).trim();
}

test("the classic builder builds every kind of recipe that has no secrets, and an own Dockerfile with arguments", async () => {
  const recipes = packageRecipes(platform, index, base);
  platform.write("own/Dockerfile", `FROM ${base} AS wanted\nARG WHO\nRUN echo "$WHO" >/who\nFROM wanted\nRUN exit 1\n`);
  const own = { dockerfile: "own/Dockerfile", context: "own", args: { WHO: `${WORD} itself` }, target: "wanted" };
  const steps = { ...stepsOf(recipes), own: { environment: "own", run: "cat /who" } };
  const file = platform.write("classic.json", { name, environments: { ...recipes, own }, steps });
  const { code, stdout, stderr } = await platform.berth("run", file, "--backend", "docker");
  assert.equal(code, 0, `${stdout}\n${stderr}`);
  const said = stdout.split("\n").filter((text) => text.includes(`| ${WORD}`));
  assert.equal(said.length, Object.keys(steps).length, stdout);
  assert.match(stdout, /apt \| Step \d+\/\d+ : RUN apt-get update/, "it was the classic one");
});

test("a recipe with credentials is refused by the classic builder, and says where it can be built", async () => {
  writeFileSync(join(platform.folder, "value"), "hidden-token");
  await platform.berth("secret", "set", "INDEX_TOKEN", "--file", join(platform.folder, "value"));
  const { requirements } = packageRecipes(platform, index, base);
  const environments = { requirements: { ...requirements, credentials: { [index.host]: "INDEX_TOKEN" } } };
  const file = platform.write("refused.json", { name, environments, steps: stepsOf(environments) });
  const { code, stdout } = await platform.berth("run", file, "--backend", "docker");
  assert.equal(code, 1, stdout);
  assert.match(stdout, /✗ requirements: The build mounts secrets \(netrc\), and the classic builder/);
  assert.match(stdout, /Use a worker whose engine has BuildKit/);
});
