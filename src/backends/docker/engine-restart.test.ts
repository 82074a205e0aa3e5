import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { testImage } from "../../../test/setup/docker.ts";
import { BackendError } from "../execution-backend.ts";
import { DockerRig } from "./testing/docker-rig.ts";
import { OwnEngine } from "./testing/own-engine.ts";

const image = await testImage();

test("an engine killed in mid-run is no end: what ended meanwhile is told truly, what it took with it is no success", {
  skip: OwnEngine.unavailable(),
}, async () => {
  await using engine = new OwnEngine();
  await engine.start();
  await engine.take(image);
  await using rig = await DockerRig.open(image, { host: engine.host });
  const quick = await rig.lay("echo up; while [ ! -e /berth/out/go ]; do sleep 0.05; done; exit 7");
  const long = await rig.lay("echo up; sleep 1000");
  for (const laid of [quick, long]) {
    await rig.submit(laid);
    await rig.untilPrinted(laid, "up\n");
  }

  await engine.stop("SIGKILL");
  const away = (await rig.session.observe([long.handle])).get(long.handle.name);
  assert.ok(away instanceof BackendError && away.code === "unavailable" && away.retryable);
  assert.equal((await rig.session.probe()).healthy, false);
  writeFileSync(join(quick.spec.folder, "out", "go"), "");
  const look = async () => (await rig.session.observe([quick.handle])).get(quick.handle.name)!;
  const seen = await rig.until("the record, which needs no engine", look, (answer) => "state" in answer);
  assert.equal("state" in seen && seen.outcome?.exitCode, 7);

  await engine.start();
  assert.equal((await rig.session.probe()).healthy, true, "the same session goes on");
  // An engine that comes back ends the containers that it finds.
  const outcome = await rig.end(long);
  assert.notEqual(outcome.state, "succeeded");
  assert.equal(outcome.fault?.class, "infrastructure");
  assert.equal((await rig.run("echo works")).outcome.state, "succeeded");
});
