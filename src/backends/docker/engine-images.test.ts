import assert from "node:assert/strict";
import { after, test } from "node:test";
import { testImage } from "../../../test/setup/docker.ts";
import type { KeptImage, KeptImages } from "../kept-images.ts";
import { docker } from "./testing/docker-harness.ts";
import { DockerRig } from "./testing/docker-rig.ts";
import { fakeRegistry } from "./testing/fake-registry.ts";

const image = await testImage();
const OTHER = `berth-test/other-name:${process.pid}`;
const made: string[] = [OTHER];

after(async () => {
  for (const name of made) await docker("rmi", "--force", name).catch(() => {});
});

async function pull(rig: DockerRig, name: string, policy: "missing" | "always" = "missing"): Promise<string> {
  made.push(name);
  const request = { kind: "ready", image: name, pull: policy } as const;
  const result = await rig.session.prepareImage(request, () => {}, AbortSignal.timeout(60_000));
  assert.ok(result.ok, JSON.stringify(result));
  return result.image;
}

async function build(rig: DockerRig, tag: string, builder: string): Promise<string> {
  made.push(tag);
  const context = (await rig.lay("true")).spec.folder;
  const dockerfile = `FROM ${image}\nLABEL berth.test=${builder}-${process.pid}-${Date.now()}\n`;
  const request = { kind: "build", tag, context, dockerfile, args: {}, base: image } as const;
  const result = await rig.session.prepareImage(request, () => {}, AbortSignal.timeout(60_000));
  assert.ok(result.ok, JSON.stringify(result));
  return result.image;
}

function keptOf(rig: DockerRig): KeptImages {
  return rig.session.keptImages!;
}

async function found(rig: DockerRig, id: string): Promise<KeptImage | undefined> {
  return (await keptOf(rig).list()).find((one) => one.id === id);
}

const isThere = async (id: string) => (await docker("images", "--no-trunc", "--quiet")).includes(id);

test("what was pulled for a run is listed with its size and use, also by another process, and is removed", async () => {
  await using registry = await fakeRegistry();
  await using rig = await DockerRig.open(image);
  registry.answer("mine", "image");
  const before = Date.now();
  const id = await pull(rig, `${registry.address}/mine:1`);
  const listed = (await (await rig.anotherSession()).keptImages!.list()).find((one) => one.id === id);
  assert.ok(listed !== undefined);
  assert.deepEqual([listed.names, listed.neededBy], [[`${registry.address}/mine:1`], null]);
  assert.ok(listed.bytes > 0 && listed.usedAtMs >= before - 1_000 && listed.usedAtMs <= Date.now());
  assert.equal(await keptOf(rig).remove(listed), true);
  assert.equal(await isThere(id), false);
  assert.deepEqual([await found(rig, id), await keptOf(rig).remove(listed)], [undefined, false]);
});

test("what this machine had before is nobody's to remove, whatever names runs give it", async () => {
  await using registry = await fakeRegistry();
  await using rig = await DockerRig.open(image);
  registry.answer("theirs", "image");
  const theirs = `${registry.address}/theirs:1`;
  made.push(theirs);
  await docker("pull", theirs);
  const id = await pull(rig, theirs);
  assert.equal(await pull(rig, `${registry.address}/theirs:2`), id, "the same image under another name");
  assert.equal(await found(rig, id), undefined);
  assert.equal(await keptOf(rig).remove({ id, usedAtMs: Date.now() }), false);
  assert.ok(await isThere(id));
});

test("a name that this machine had stays its own when a run moves it to a newer image; one of an earlier run moves on", async () => {
  await using registry = await fakeRegistry();
  await using rig = await DockerRig.open(image);
  registry.answer("theirs", "image");
  registry.answer("ours", "image");
  const [theirs, ours] = [`${registry.address}/theirs:1`, `${registry.address}/ours:1`];
  const first = await pull(rig, ours);
  await docker("pull", theirs);
  made.push(first);
  registry.answer("theirs", "another-image");
  registry.answer("ours", "another-image");
  const moved = await pull(rig, theirs, "always");
  assert.notEqual(moved, first);
  assert.equal(await found(rig, moved), undefined);
  assert.equal(await pull(rig, ours, "always"), moved);
  assert.equal(await found(rig, moved), undefined, "it has their name");
  await docker("rmi", theirs, ours);
  const again = await pull(rig, ours, "always");
  assert.deepEqual((await found(rig, again))?.names, [ours]);
});

test("an image stays while a container uses it, while it has a name of others, and when it was used since it was listed", async () => {
  await using registry = await fakeRegistry();
  await using rig = await DockerRig.open(image);
  registry.answer("busy", "image");
  const name = `${registry.address}/busy:1`;
  const id = await pull(rig, name);
  const free = (await found(rig, id))!;

  const container = (await docker("create", name, "true")).trim();
  assert.equal((await found(rig, id))?.neededBy, "a container");
  assert.equal(await keptOf(rig).remove(free), false);
  assert.ok(await isThere(id));
  await docker("rm", container);

  await docker("tag", name, OTHER);
  assert.equal((await found(rig, id))?.neededBy, `the name ${OTHER}`);
  assert.equal(await keptOf(rig).remove(free), false);
  await docker("rmi", OTHER);

  await new Promise((resolve) => setTimeout(resolve, 20));
  await pull(rig, name);
  assert.equal(await keptOf(rig).remove(free), false);
  assert.equal(await keptOf(rig).remove((await found(rig, id))!), true);
});

for (const builder of ["buildkit", "classic"] as const) {
  test(`what was built for a run may go, and what it was built from stays, builder ${builder}`, async () => {
    await using rig = await DockerRig.open(image, { builder });
    const id = await build(rig, `berth-test/built-${builder}:${process.pid}`, builder);
    const listed = (await keptOf(rig).list()).map((one) => one.id);
    assert.deepEqual(listed, [id], "the base was there before");
    assert.equal(await keptOf(rig).remove((await found(rig, id))!), true);
    assert.equal(await isThere(id), false);
    assert.ok((await docker("image", "inspect", image)).length > 0);
  });
}
