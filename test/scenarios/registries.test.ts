import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { testImage } from "../setup/docker.ts";
import { startRegistry } from "../setup/registry.ts";
import { ScenarioPlatform } from "./platform.ts";

const platform = new ScenarioPlatform();
after(() => platform[Symbol.asyncDispose]());

test("an image of a private registry is pulled with the login that the project keeps, which is in no file", async (t) => {
  const registry = await startRegistry();
  t.after(() => registry[Symbol.asyncDispose]());
  const image = registry.push(await testImage(), "team/private:1");
  t.after(() => spawnSync("docker", ["rmi", "--force", image]));
  platform.write("private.json", { name: "private", environment: { image }, steps: { only: { run: "true" } } });
  const run = () => platform.berth("run", "private.json", "--backend", "docker");

  const refused = await run();
  assert.notEqual(refused.code, 0);
  assert.match(refused.stdout + refused.stderr, /berth registry set/);

  const file = join(platform.folder, "password");
  writeFileSync(file, registry.password);
  const keep = ["registry", "set", registry.host, "--username", registry.username, "--file", file];
  const set = await platform.berth(...keep);
  assert.equal(set.code, 0, set.stderr);
  writeFileSync(file, "");
  const done = await run();
  assert.equal(done.code, 0, done.stdout + done.stderr);
  const shown = await platform.berth("run", "show", "private#2");
  assert.match(
    shown.stdout,
    new RegExp(`image of default: ${registry.host}/team/private@sha256:[0-9a-f]{64}, used by only`),
  );

  const onWorker = JSON.parse((await platform.berth("agent", "images", "--json")).stdout).images;
  assert.deepEqual([onWorker.length, onWorker[0].names, onWorker[0].backend], [1, [image], "docker"]);

  const listed = JSON.parse((await platform.berth("registry", "ls", "--json")).stdout);
  assert.equal(listed.length, 1);
  assert.deepEqual([listed[0].host, listed[0].username], [registry.host, registry.username]);
  assert.notEqual(listed[0].lastUsedAt, null);
  assert.equal((await platform.berth("secret", "ls", "--json")).stdout.trim(), "[]", "no secret that steps could name");
  const found = spawnSync("grep", ["-rlaF", registry.password, platform.home, platform.project], { encoding: "utf8" });
  assert.equal(found.stdout, "");
  assert.doesNotMatch(done.stdout + done.stderr + shown.stdout, new RegExp(registry.password));
});
