import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { PackageIndex } from "../setup/package-index.ts";
import { buildBase, packageRecipes, startIndex, stepsOf, WORD } from "./package-recipes.ts";
import { ScenarioPlatform } from "./platform.ts";

const platform = new ScenarioPlatform();
/** Of this test alone, or images of an earlier one would be there already. */
const name = `indexes-${randomBytes(4).toString("hex")}`;
const base = `berth-test/${name}:1`;
const PASSWORD = `pass-${randomBytes(12).toString("hex")}`;
const TOKEN = `token-${randomBytes(12).toString("hex")}`;

let index: PackageIndex;

before(async () => {
  index = await startIndex({ user: "ci", password: PASSWORD, token: TOKEN });
  await buildBase(base, index);
  for (const [secret, value] of Object.entries({ INDEX_PASSWORD: PASSWORD, INDEX_TOKEN: TOKEN, WRONG: "not-it" })) {
    writeFileSync(join(platform.folder, "value"), `${value}\n`);
    const set = await platform.berth("secret", "set", secret, "--file", join(platform.folder, "value"));
    assert.equal(set.code, 0, set.stderr);
    writeFileSync(join(platform.folder, "value"), "");
  }
});

after(async () => {
  await platform[Symbol.asyncDispose]();
  await index?.[Symbol.asyncDispose]();
  docker("rmi", "--force", ...built(), base);
});

function docker(...args: string[]): string {
  return execFileSync("docker", args, { encoding: "utf8" }).trim();
}

function built(): string[] {
  return docker("images", "--format", "{{.Repository}}:{{.Tag}}", `berth/${name}`).split("\n").filter(Boolean);
}

/** Files below these folders that hold a secret, also as it is sent to an index. */
function hits(...folders: string[]): string {
  const forms = [PASSWORD, TOKEN, Buffer.from(`ci:${PASSWORD}`).toString("base64")].flatMap((form) => ["-e", form]);
  return spawnSync("grep", ["-rlaF", ...forms, ...folders], { encoding: "utf8" }).stdout;
}

// Before the other one: what was built once is in the builder's cache for whoever asks with whichever secret.
test("an index that does not accept the secret fails each build, and is told as that, not as a missing package", async () => {
  const recipes = Object.entries(packageRecipes(platform, index, base));
  const environments = Object.fromEntries(
    recipes.map(([step, recipe]) => [step, { ...recipe, credentials: { [index.host]: "WRONG" } }]),
  );
  const file = platform.write("wrong.json", { name, environments, steps: stepsOf(environments) });
  const { code, stdout } = await platform.berth("run", file, "--backend", "docker");
  assert.equal(code, 1, stdout);
  for (const [step] of recipes) {
    const told = `✗ ${step}: The image could not be built: a package index did not accept who asked; `;
    assert.ok(stdout.includes(told), `${step}\n${stdout}`);
  }
  assert.match(stdout, /Name the index's host under credentials of the environment/);
  assert.doesNotMatch(stdout, /not-it/);
});

test("each installer gets packages of a private index, and the secret is neither in an image nor in a log", async () => {
  // Half of them with a password, half with a token.
  const who = [{ user: "ci", secret: "INDEX_PASSWORD" }, "INDEX_TOKEN"] as const;
  const recipes = Object.entries(packageRecipes(platform, index, base));
  const environments = Object.fromEntries(
    recipes.map(([step, recipe], at) => [step, { ...recipe, credentials: { [index.host]: who[at % 2] } }]),
  );
  const file = platform.write("indexes.json", { name, environments, steps: stepsOf(environments) });
  const { code, stdout, stderr } = await platform.berth("run", file, "--backend", "docker");
  assert.equal(code, 0, `${stdout}\n${stderr}`);
  const said = stdout.split("\n").filter((text) => text.includes(`| ${WORD}`));
  assert.equal(said.length, recipes.length, stdout);
  await platform.tidy();

  const images = built();
  assert.equal(images.length, recipes.length);
  docker("save", "--output", join(platform.folder, "images.tar"), ...images);
  const found = spawnSync("grep", ["-ac", WORD, join(platform.folder, "images.tar")], { encoding: "utf8" }).stdout;
  assert.match(found, /^[1-9]/, "the scan sees what is in the layers");
  const shown = images.flatMap((image) => [docker("history", "--no-trunc", image), docker("inspect", image)]);
  writeFileSync(join(platform.folder, "shown"), [stdout, stderr, ...shown].join("\n"));
  assert.ok(readdirSync(platform.folder).includes("home"), "the scan sees the server's and the worker's folders");
  assert.equal(hits(platform.folder), "");
});
