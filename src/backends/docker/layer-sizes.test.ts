import assert from "node:assert/strict";
import { test } from "node:test";
import { testPerlImage } from "../../../test/setup/perl-image.ts";
import { Engine } from "./engine.ts";
import { engineAddress } from "./engine-address.ts";
import { LayerSizes } from "./layer-sizes.ts";
import { DockerRig } from "./testing/docker-rig.ts";

const image = await testPerlImage();
const MiB = 1024 ** 2;
const ANY = { bytes: Number.POSITIVE_INFINITY, entries: Number.POSITIVE_INFINITY };
const WRITE =
  "dd if=/dev/zero of=/var/tmp/big bs=1M count=5 2>/dev/null; mkdir /var/tmp/a; : >/var/tmp/a/b; echo up; sleep 60";

test("the writable layer of a container is measured, as far as asked, until the container is gone", async () => {
  await using rig = await DockerRig.open(image);
  const laid = await rig.lay(WRITE);
  await rig.submit(laid);
  await rig.untilPrinted(laid, "up\n");
  const use = (await rig.session.layerUse(laid.handle, ANY))!;
  assert.ok(use.bytes >= 5 * MiB && use.bytes < 6 * MiB, `${use.bytes} bytes`);
  assert.ok(use.entries >= 5, `${use.entries}: big, a, a/b and the folders above`);
  assert.ok((await rig.session.layerUse(laid.handle, { bytes: MiB, entries: 100 }))!.bytes > MiB);
  await rig.session.release(laid.handle, { force: true });
  assert.equal(await rig.session.layerUse(laid.handle, ANY), null);
});

test("where the layer is out of the agent's reach the engine measures it, and not each time", async () => {
  await using rig = await DockerRig.open(image);
  using engine = new Engine(engineAddress(undefined, process.env));
  await engine.negotiate();
  let measured = 0;
  const closed = {
    inspectContainer: async (name: string, query: { size?: boolean } | undefined) => {
      if (query?.size === true) measured += 1;
      return { ...(await engine.inspectContainer(name, query)), GraphDriver: { Data: null } };
    },
  } as Engine;
  const sizes = new LayerSizes(async () => closed);
  const laid = await rig.lay(WRITE);
  await rig.submit(laid);
  await rig.untilPrinted(laid, "up\n");
  const use = (await sizes.measure(laid.handle.name, ANY))!;
  assert.ok(use.bytes >= 5 * MiB && use.bytes < 6 * MiB, `${use.bytes} bytes`);
  assert.deepEqual(await sizes.measure(laid.handle.name, ANY), use);
  assert.equal(measured, 1);
  await rig.session.cancel(laid.handle, { graceMs: 0, reason: "user" });
  await rig.end(laid);
});
