import assert from "node:assert/strict";
import { test } from "node:test";
import { generateDockerfile, type Recipe } from "./dockerfile.ts";
import { requiredFiles } from "./required-files.ts";

const RECIPE: Recipe = { kind: "recipe", base: "base:1", apt: [], python: null, node: null, source: null, env: {} };

function node(lockfile: string, manager?: string): Recipe {
  return { ...RECIPE, node: { lockfile, packages: [], ...(manager !== undefined && { manager }) } };
}

test("pnpm installs what its lock file says, in an exact version that does not stay", () => {
  const text = generateDockerfile(node("web/pnpm-lock.yaml"));
  assert.match(text, /COPY \["web\/package.json", "web\/pnpm-lock.yaml", "\/app\/web\/"\]/);
  assert.match(text, /version=\$\{version:-\d+\.\d+\.\d+\}/);
  assert.match(
    text,
    /npm install --global --prefix \/tmp\/node-tool "pnpm@\$version" && .*pnpm install --frozen-lockfile .* && rm -rf .*node-tool/,
  );
  assert.match(generateDockerfile(node("pnpm-lock.yaml", "pnpm@9.15.0")), /version=9\.15\.0 &&/);
});

test("which yarn installs is said by the file, else by package.json, else by who wrote the lock file", () => {
  const text = generateDockerfile(node("yarn.lock"));
  assert.match(text, /packageManager.*if grep -q '\^__metadata:' yarn.lock; then echo \d/);
  assert.match(
    text,
    /case \$version in 1\.\*\) .*"yarn@\$version" .*--frozen-lockfile.*;; \*\) .*"@yarnpkg\/cli-dist@\$version"/,
  );
  const named = generateDockerfile(node("yarn.lock", "yarn@4.9.2"));
  assert.match(named, /version=4\.9\.2 &&/);
  assert.doesNotMatch(named, /packageManager|grep/);
});

test("uv installs a lock file without the project, whose code is not there yet", () => {
  const recipe: Recipe = { ...RECIPE, python: { requirements: null, packages: [], lockfile: "lib/uv.lock" } };
  const text = generateDockerfile(recipe);
  assert.match(text, /COPY \["lib\/pyproject.toml", "lib\/uv.lock", "\/opt\/berth\/project\/"\]/);
  assert.match(text, /uv==\d+\.\d+\.\d+ && .* sync --locked --no-dev --no-install-project/);
  assert.deepEqual(requiredFiles(recipe), { files: ["lib/pyproject.toml", "lib/uv.lock"], folder: null });
});

test("conda's files are installed by the tool of the base, and pixi's lock needs its manifest", () => {
  const conda = (file: string): Recipe => ({ ...RECIPE, conda: { file } });
  const env = generateDockerfile(conda("environment.yml"));
  assert.match(
    env,
    /micromamba create --yes --prefix \/opt\/berth\/conda --file '\/opt\/berth\/conda-project\/environment.yml'/,
  );
  assert.match(env, /conda env create --prefix/);
  assert.match(generateDockerfile(conda("conda-linux-64.lock")), /conda create --yes --prefix/);
  const pixi = conda("a/pixi.lock");
  assert.match(generateDockerfile(pixi), /pixi install --locked/);
  assert.deepEqual(requiredFiles(pixi), { files: ["a/pixi.toml", "a/pixi.lock"], folder: null });
  assert.throws(() => generateDockerfile(conda("a\nRUN evil.yml")), TypeError);
  assert.match(generateDockerfile(conda("o'clock.yml")), /'\/opt\/berth\/conda-project\/o'\\''clock.yml'/);
});
