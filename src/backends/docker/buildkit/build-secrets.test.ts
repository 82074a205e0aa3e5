import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { testImage } from "../../../../test/setup/docker.ts";
import { fault } from "../../../protocol/faults.ts";
import { BackendError } from "../../execution-backend.ts";
import type { BuildSecrets } from "../../image-request.ts";
import { docker } from "../testing/docker-harness.ts";
import { DockerRig } from "../testing/docker-rig.ts";

const run = promisify(execFile);
const image = await testImage();
const made: string[] = [];
after(async () => {
  for (const name of made) await docker("rmi", "--force", name).catch(() => {});
});

async function build(rig: DockerRig, lines: readonly string[], secrets?: BuildSecrets) {
  const tag = `berth-test/secrets:${process.pid}-${made.length}`;
  made.push(tag);
  const chunks: Uint8Array[] = [];
  const context = (await rig.lay("true")).spec.folder;
  // Of this build alone, or what is in the cache already would run nothing.
  const dockerfile = `FROM ${image}\nENV BUILD=${tag}-${Date.now()}\n${lines.join("\n")}\n`;
  const request = { kind: "build", tag, context, dockerfile, args: {}, ...(secrets && { secrets }) } as const;
  const onLog = (chunk: Uint8Array) => void chunks.push(chunk);
  const result = await rig.session.prepareImage(request, onLog, AbortSignal.timeout(60_000));
  return { result, tag, log: Buffer.concat(chunks).toString() };
}

function secretsOf(values: Readonly<Record<string, string>>) {
  const asked: string[] = [];
  const read = async (id: string) => {
    asked.push(id);
    return Buffer.from(values[id]!);
  };
  return { asked, ids: Object.keys(values), read } satisfies BuildSecrets & { asked: string[] };
}

const MOUNT = "--mount=type=secret,id=TOKEN";

test("a secret is there for the RUN that mounts it, and nowhere in the image, its history or the build's log", async () => {
  await using rig = await DockerRig.open(image);
  const canary = `canary-${process.pid}-${Math.trunc(performance.now() * 1_000)}`;
  const secrets = secretsOf({ TOKEN: canary, OTHER: "unused" });
  const lines = [
    `RUN ${MOUNT} md5sum </run/secrets/TOKEN | cut -c1-32 >/sum; wc -c </run/secrets/TOKEN >/size`,
    "RUN ls -A /run/secrets 2>&1 | wc -l >/left",
  ];
  const { result, tag, log } = await build(rig, lines, secrets);
  assert.ok(result.ok, JSON.stringify(result));
  assert.deepEqual(secrets.asked, ["TOKEN"], "only what is mounted is asked for");
  const laid = await rig.run("cat /size /sum", { image: result.image });
  assert.equal((await rig.log(laid)).split("\n")[0], `${canary.length}`);
  const archive = join((await rig.lay("true")).spec.folder, "image.tar");
  await run("docker", ["save", "--output", archive, tag]);
  const found = async (word: string) =>
    (await run("sh", ["-c", `grep -ac '${word}' ${archive} || true`])).stdout.trim();
  assert.notEqual(await found(tag), "0", "the scan sees the image's configuration and layers");
  assert.equal(await found(canary), "0");
  rmSync(archive);
  for (const text of [await docker("history", "--no-trunc", tag), await docker("inspect", tag), log]) {
    assert.doesNotMatch(text, new RegExp(canary));
  }
  assert.ok(!existsSync(archive));
});

test("a secret that the environment does not name is not there, and one that is required fails the build by its name", async () => {
  await using rig = await DockerRig.open(image);
  const { result } = await build(rig, ["RUN --mount=type=secret,id=NOSUCH,required=true cat /run/secrets/NOSUCH"]);
  assert.ok(!result.ok);
  assert.equal(result.fault.code, "image-build-failed");
  assert.match(result.fault.evidence ?? "", /NOSUCH/);
});

test("a secret that cannot be had fails the build by what the one who was asked for it said", async () => {
  await using rig = await DockerRig.open(image);
  const said = new BackendError("internal", fault("agent-error", "There is no secret TOKEN."));
  const read = () => Promise.reject(said);
  await assert.rejects(build(rig, [`RUN ${MOUNT} cat /run/secrets/TOKEN`], { ids: ["TOKEN"], read }), said);
});

test("the classic builder refuses a build with secrets instead of giving them as arguments", async () => {
  await using rig = await DockerRig.open(image, { builder: "classic" });
  const secrets = secretsOf({ TOKEN: "never" });
  const { result, log } = await build(rig, [`RUN ${MOUNT} cat /run/secrets/TOKEN`], secrets);
  assert.ok(!result.ok);
  assert.equal(result.fault.code, "spec-unsupported");
  assert.match(result.fault.message, /secrets \(TOKEN\), and the classic builder/);
  assert.deepEqual([secrets.asked, log], [[], ""]);
});
