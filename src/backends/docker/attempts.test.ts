import assert from "node:assert/strict";
import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { testImage } from "../../../test/setup/docker.ts";
import { BackendError } from "../execution-backend.ts";
import { scopeName } from "../object-name.ts";
import { docker } from "./testing/docker-harness.ts";
import { DockerRig } from "./testing/docker-rig.ts";

const image = await testImage();
const NAMESPACE = "readlink /proc/self/ns/net";

test("attempts of one scope share a network namespace, and other scopes have their own", async () => {
  await using rig = await DockerRig.open(image);
  const [first, second, other] = await Promise.all([
    rig.run(NAMESPACE, { network: "run" }),
    rig.run(NAMESPACE, { network: "run" }),
    rig.run(NAMESPACE, { network: "run", scope: "other" }),
  ]);
  assert.equal(await rig.log(first), await rig.log(second));
  assert.notEqual(await rig.log(first), await rig.log(other));
  const own = `label=berth.installation=${rig.harness.installation}`;
  const holders = await docker("ps", "--quiet", "--filter", own, "--filter", "label=berth.kind=network");
  assert.equal(holders.split("\n").length, 2);
});

test("a network holder that died comes back for the next attempt, for a new session too", async () => {
  await using rig = await DockerRig.open(image);
  const holder = scopeName(rig.harness.installation, "scope");
  assert.equal((await rig.run("ip route", { network: "run" })).outcome.state, "succeeded");
  await docker("kill", holder);
  const again = await rig.run("ip route", { network: "run" });
  assert.match(await rig.log(again), /default via/);
  await docker("rm", "--force", holder);
  const laid = await rig.lay("ip route", { network: "run" });
  await (await rig.anotherSession()).submit(laid.ref, laid.spec);
  assert.equal((await rig.end(laid)).state, "succeeded");
  assert.match(await rig.log(laid), /default via/);
});

test("an attempt made ahead whose network died meanwhile still runs with a network", async () => {
  await using rig = await DockerRig.open(image);
  const hinted = Promise.withResolvers<void>();
  const holder = scopeName(rig.harness.installation, "scope");
  using _watch = rig.session.watch((name) => name === holder && hinted.resolve());
  const laid = await rig.lay("ip route; echo ran", { network: "run" });
  await rig.session.prepare(laid.ref, laid.spec);
  await docker("rm", "--force", holder);
  await hinted.promise;
  await rig.submit(laid);
  assert.equal((await rig.end(laid)).state, "succeeded");
  assert.match(await rig.log(laid), /default via .*\n(.*\n)*ran/);
});

test("an attempt made ahead runs in a started container, and user code waits for submit, from elsewhere too", async () => {
  await using rig = await DockerRig.open(image);
  const laid = await rig.lay("echo ran");
  await rig.session.prepare(laid.ref, laid.spec);
  assert.equal(await docker("inspect", "--format", "{{.State.Running}}", laid.handle.name), "true");
  assert.deepEqual(await rig.see(laid), { state: "held", userCode: "never" });
  assert.equal(await rig.log(laid), "");
  await (await rig.anotherSession()).submit(laid.ref, laid.spec);
  assert.equal((await rig.end(laid)).state, "succeeded");
  assert.equal(await rig.log(laid), "ran\n");
});

test("a held container that was killed or removed is made again by submit: no user code had run in it", async () => {
  await using rig = await DockerRig.open(image);
  for (const mishap of [["kill"], ["rm", "--force"], ["stop"]]) {
    const laid = await rig.lay("echo ran");
    await rig.session.prepare(laid.ref, laid.spec);
    await docker(...mishap, laid.handle.name);
    await (await rig.anotherSession()).submit(laid.ref, laid.spec);
    const outcome = await rig.end(laid);
    // TERM ends a held shim with a record that nothing started; the others leave none, and it starts afresh.
    if (mishap[0] === "stop") assert.deepEqual([outcome.state, outcome.fault?.code], ["failed", "deleted-externally"]);
    else assert.equal(await rig.log(laid), "ran\n", mishap.join(" "));
  }
});

test("a container that someone starts again runs no user code again, and the outcome stays", async () => {
  await using rig = await DockerRig.open(image);
  const laid = await rig.run("echo ran; exit 3");
  await docker("wait", laid.handle.name);
  await docker("start", laid.handle.name);
  assert.equal(await docker("wait", laid.handle.name), "125");
  assert.equal(await rig.log(laid), "ran\n");
  assert.equal((await rig.end(laid)).exitCode, 3);
});

test("a container that has the attempt's name but is not Berth's is left alone", async () => {
  await using rig = await DockerRig.open(image);
  const laid = await rig.lay("true");
  await docker("create", "--name", laid.handle.name, image, "true");
  await assert.rejects(rig.submit(laid), (error) => error instanceof BackendError && error.code === "spec-conflict");
  assert.equal(await docker("inspect", "--format", "{{.State.Status}}", laid.handle.name), "created");
});

test("a working folder that is a file in the image is a configuration fault of the attempt", async () => {
  await using rig = await DockerRig.open(image);
  const { outcome } = await rig.run("true", { workingFolder: "/etc/passwd" });
  assert.deepEqual([outcome.state, outcome.fault?.code], ["failed", "spec-invalid"]);
  assert.equal(outcome.fault?.class, "configuration");
});

test("an image that was removed after it was prepared is an error that says so", async () => {
  await using rig = await DockerRig.open(image);
  const laid = await rig.lay("true", { image: `sha256:${"0".repeat(64)}` });
  const gone = (error: unknown) => error instanceof BackendError && error.fault.code === "image-not-found";
  await assert.rejects(rig.submit(laid), gone);
});

test("a step that replaces its log by a link to a file of the host shows nothing of that file", async () => {
  await using rig = await DockerRig.open(image);
  const laid = await rig.run("rm /.berth/ctl/stdout && ln -s /etc/hostname /.berth/ctl/stdout; ls -l /.berth/ctl >&2");
  assert.equal(laid.outcome.state, "succeeded");
  assert.match(await rig.log(laid, "stderr"), /stdout -> \/etc\/hostname/);
  assert.equal(await rig.log(laid), "");
});

test("a step cannot put a link where the agent keeps its control folder", async () => {
  await using rig = await DockerRig.open(image);
  const { outcome } = await rig.run("mv /berth/ctl /berth/gone; rm -rf /berth/ctl; rm -rf /berth/in; true");
  assert.equal(outcome.state, "succeeded");
});

test("a link planted where the word to go will be is not followed", async () => {
  await using rig = await DockerRig.open(image);
  const laid = await rig.lay("echo ran");
  const victim = join(laid.spec.folder, "out", "victim");
  symlinkSync(victim, join(laid.spec.folder, "ctl", "go"));
  await rig.submit(laid);
  await assert.rejects(async () => (await import("node:fs/promises")).access(victim));
});
