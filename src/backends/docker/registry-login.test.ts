import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { testImage } from "../../../test/setup/docker.ts";
import { startRegistry, type TestRegistry } from "../../../test/setup/registry.ts";
import type { ImageRequest, RegistryLogin } from "../image-request.ts";
import { docker } from "./testing/docker-harness.ts";
import { DockerRig } from "./testing/docker-rig.ts";

const image = await testImage();
const BUILT = `berth-test/from-private:${process.pid}`;
const home = mkdtempSync(join(tmpdir(), "berth-no-login-"));
let registry: TestRegistry;
let name: string;

before(async () => {
  // Whatever the machine is logged in to is not what is tried here.
  process.env.DOCKER_CONFIG = home;
  registry = await startRegistry();
  name = registry.push(image, "team/private:1");
});
after(async () => {
  for (const one of [`${BUILT}-buildkit`, `${BUILT}-classic`, name])
    await docker("rmi", "--force", one).catch(() => {});
  await registry?.[Symbol.asyncDispose]();
  rmSync(home, { recursive: true });
});

async function prepare(rig: DockerRig, request: ImageRequest, login?: Partial<RegistryLogin>) {
  const own = { host: registry.host, username: registry.username, password: registry.password, ...login };
  const logins = login === undefined ? {} : { logins: async () => [own] };
  const chunks: Uint8Array[] = [];
  const onLog = (chunk: Uint8Array) => void chunks.push(chunk);
  const result = await rig.session.prepareImage({ ...request, ...logins }, onLog, AbortSignal.timeout(60_000));
  return { result, log: Buffer.concat(chunks).toString() };
}

test("a registry that asks for a login gives an image to a run that has it, and to no other", async () => {
  await using rig = await DockerRig.open(image);
  const ready = { kind: "ready", image: name } as const;
  for (const login of [undefined, { password: "wrong" }, { host: "ghcr.io" }]) {
    const { result } = await prepare(rig, ready, login);
    assert.equal(result.ok ? "pulled" : result.fault.code, "image-denied", JSON.stringify(login));
  }
  const { result, log } = await prepare(rig, ready, {});
  assert.ok(result.ok, JSON.stringify(result));
  assert.match(result.reference ?? "", new RegExp(`^${registry.host}/team/private@sha256:`));
  assert.doesNotMatch(log, new RegExp(registry.password));
  await docker("rmi", name);
});

test("a run without a login, and another that joined its pull with one, each get what their own login opens", async () => {
  await using rig = await DockerRig.open(image);
  const ready = { kind: "ready", image: name } as const;
  const [without, joined] = await Promise.all([prepare(rig, ready), prepare(rig, ready, {})]);
  assert.equal(without.result.ok ? "pulled" : without.result.fault.code, "image-denied");
  assert.ok(joined.result.ok, JSON.stringify(joined.result));
  await docker("rmi", name);
});

for (const builder of ["buildkit", "classic"] as const) {
  test(`a build pulls what it starts from with the login of its run, builder ${builder}`, async () => {
    await using rig = await DockerRig.open(image, { builder });
    const context = (await rig.lay("true")).spec.folder;
    const dockerfile = `ARG TAG=1\nFROM ${registry.host}/team/private:$TAG\nLABEL berth.test=built\n`;
    const request = { kind: "build", tag: `${BUILT}-${builder}`, context, dockerfile, args: {} } as const;
    for (const login of [undefined, { password: "wrong" }, { host: "ghcr.io" }]) {
      const { result } = await prepare(rig, request, login);
      assert.equal(result.ok ? "built" : result.fault.code, "image-denied", JSON.stringify(result));
    }
    const { result, log } = await prepare(rig, request, {});
    assert.ok(result.ok, JSON.stringify(result));
    assert.doesNotMatch(log, new RegExp(registry.password));
  });
}
