import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { testImage } from "../setup/docker.ts";
import { ScenarioPlatform } from "./platform.ts";

const platform = new ScenarioPlatform();
/** Of this test alone, or an image of an earlier one would be there already. */
const name = `build-secrets-${randomBytes(4).toString("hex")}`;
const CANARY = `canary-${randomBytes(12).toString("hex")}`;

after(async () => {
  await platform[Symbol.asyncDispose]();
  const [image] = built();
  if (image !== undefined) docker("rmi", "--force", image);
});

function docker(...args: string[]): string {
  return execFileSync("docker", args, { encoding: "utf8" }).trim();
}

function built(): string[] {
  return docker("images", "--format", "{{.Repository}}:{{.Tag}}", `berth/${name}`).split("\n").filter(Boolean);
}

/** Files below these folders that hold the canary. */
function hits(...folders: string[]): string {
  return spawnSync("grep", ["-rlaF", CANARY, ...folders], { encoding: "utf8" }).stdout;
}

async function pipeline(secrets: readonly (string | object)[], lines: readonly string[]): Promise<string> {
  writeFileSync(join(platform.project, "Dockerfile"), `FROM ${await testImage()}\n${lines.join("\n")}\n`);
  return platform.write("build.json", {
    name,
    environment: { dockerfile: "Dockerfile", secrets },
    steps: { use: { run: 'test "$(cat /size)" -gt 20; cat /id' } },
  });
}

test("a build mounts a secret of the project, and neither image, worker nor server keeps it", async () => {
  const file = await pipeline(
    ["INDEX_TOKEN", { name: "INDEX_TOKEN", id: "netrc" }],
    [
      `ENV NAME=${name}`,
      "RUN --mount=type=secret,id=INDEX_TOKEN,required=true wc -c </run/secrets/INDEX_TOKEN >/size",
      "RUN --mount=type=secret,id=netrc,target=/root/.netrc,required=true test -s /root/.netrc && echo both >/id",
    ],
  );
  const refused = await platform.berth("run", file);
  assert.equal(refused.code, 3, refused.stderr);
  assert.match(refused.stderr, /environments\.default\.secrets\[0\][\s\S]*There is no secret INDEX_TOKEN/);

  writeFileSync(join(platform.folder, "value"), CANARY);
  const set = await platform.berth("secret", "set", "INDEX_TOKEN", "--file", join(platform.folder, "value"));
  assert.equal(set.code, 0, set.stderr);
  writeFileSync(join(platform.folder, "value"), "");

  const { code, stdout, stderr } = await platform.berth("run", file, "--backend", "docker");
  assert.equal(code, 0, `${stdout}\n${stderr}`);
  assert.match(stdout + stderr, /both/);
  await platform.tidy();

  const [image] = built();
  const archive = join(platform.folder, "image.tar");
  docker("save", "--output", archive, image!);
  assert.match(spawnSync("grep", ["-ac", name, archive], { encoding: "utf8" }).stdout, /^[1-9]/, "the scan sees it");
  assert.equal(hits(platform.folder), "");
  for (const text of [stdout, stderr, docker("history", "--no-trunc", image!), docker("inspect", image!)]) {
    assert.doesNotMatch(text, new RegExp(CANARY));
  }
  const shown = await platform.berth("secret", "show", "INDEX_TOKEN");
  assert.match(shown.stdout, new RegExp(`${name}#\\d+|use`), "who got it is written down");
});
