import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { testImage } from "../../../test/setup/docker.ts";
import { BackendError, type BackendSession } from "../execution-backend.ts";
import { dockerBackend } from "./docker-backend.ts";
import { docker } from "./testing/docker-harness.ts";
import { DockerRig } from "./testing/docker-rig.ts";

const image = await testImage();

async function withoutEngine(use: (session: BackendSession) => Promise<void>): Promise<void> {
  const stateFolder = mkdtempSync(join(tmpdir(), "berth-no-engine-"));
  try {
    const settings = { host: `unix://${stateFolder}/docker.sock` };
    await using session = await dockerBackend.open({ installation: "none", stateFolder, settings });
    await use(session);
  } finally {
    rmSync(stateFolder, { recursive: true });
  }
}

test("a healthy engine is told with its facts, and the check of the host leaves nothing behind", async () => {
  await using rig = await DockerRig.open(image);
  const probe = await rig.session.probe();
  assert.equal(probe.healthy, true, probe.reason);
  assert.match(String(probe.facts.version), /^\d+\./);
  const own = `label=berth.installation=${rig.harness.installation}`;
  assert.equal(await docker("ps", "--all", "--quiet", "--filter", own), "");
  assert.equal((await rig.session.probe()).healthy, true);
});

test("an engine that does not answer is unhealthy with its address, and opening a session works all the same", async () => {
  await withoutEngine(async (session) => {
    const probe = await session.probe();
    assert.equal(probe.healthy, false);
    assert.match(probe.reason ?? "", /does not answer.*docker\.sock/s);
  });
});

test("without an engine, calls are retryable errors that say what was attempted", async () => {
  await using rig = await DockerRig.open(image);
  const { ref, spec, handle } = await rig.lay("true");
  await withoutEngine(async (session) => {
    const isUnavailable = (error: unknown) =>
      error instanceof BackendError &&
      error.code === "unavailable" &&
      error.retryable &&
      error.message.includes("could not");
    await assert.rejects(session.submit(ref, spec), isUnavailable);
    await assert.rejects(session.release(handle, { force: true }), isUnavailable);
    await assert.rejects(Array.fromAsync(session.list()), isUnavailable);
    await assert.rejects(session.releaseScope("scope"), isUnavailable);
    const seen = (await session.observe([handle])).get(handle.name);
    assert.ok(seen instanceof BackendError && seen.retryable);
  });
});

test("the end of an attempt is known without an engine, from the record", async () => {
  await using rig = await DockerRig.open(image);
  const { handle } = await rig.run("exit 42");
  await withoutEngine(async (session) => {
    const seen = (await session.observe([handle])).get(handle.name);
    assert.ok(seen !== undefined && "state" in seen);
    assert.equal(seen.outcome?.exitCode, 42);
  });
});

test("a cancel that finds no engine is carried out by the shim", async () => {
  await using rig = await DockerRig.open(image);
  const laid = await rig.lay("echo up; exec sleep 1000");
  await rig.submit(laid);
  await rig.untilPrinted(laid, "up\n");
  await withoutEngine(async (session) => {
    assert.equal(await session.cancel(laid.handle, { graceMs: 5_000, reason: "user" }), "requested");
  });
  assert.equal((await rig.end(laid)).state, "cancelled");
});

test("settings that the backend does not know, or an address that it cannot use, are refused by name", async () => {
  const open = (settings: Record<string, unknown>) =>
    dockerBackend.open({ installation: "none", stateFolder: "/nonexistent", settings });
  await assert.rejects(open({ hots: "x" }), /hots/);
  await assert.rejects(open({ host: "ssh://there" }), /ssh:\/\/there/);
});

test("the end of an attempt is hinted at before its container is gone from the engine's list", async () => {
  await using rig = await DockerRig.open(image);
  const laid = await rig.lay("true");
  const hint = Promise.withResolvers<void>();
  using _watch = rig.session.watch((name) => name === laid.handle.name && hint.resolve());
  await rig.submit(laid);
  await hint.promise;
  assert.equal((await rig.see(laid)).state, "terminal");
});

test("a container that was removed by someone else is hinted at", async () => {
  await using rig = await DockerRig.open(image);
  const laid = await rig.lay("sleep 1000");
  const hint = Promise.withResolvers<void>();
  await rig.submit(laid);
  await rig.untilRunning(laid);
  using _watch = rig.session.watch((name) => name === laid.handle.name && hint.resolve());
  await docker("rm", "--force", laid.handle.name);
  await hint.promise;
});

test("the list holds an attempt whose container was removed by others, until it is released", async () => {
  await using rig = await DockerRig.open(image);
  const laid = await rig.run("true");
  await docker("rm", "--force", laid.handle.name);
  const listed = await Array.fromAsync(rig.session.list());
  assert.deepEqual(
    listed.map(({ handle, running }) => ({ handle, running })),
    [{ handle: laid.handle, running: false }],
  );
  await rig.session.release(laid.handle);
  assert.deepEqual(await Array.fromAsync(rig.session.list()), []);
});

test("environment and labels of the step are in its container, Berth's own labels cannot be replaced", async () => {
  await using rig = await DockerRig.open(image);
  const labels = { team: "wine", "berth.installation": "someone-else" };
  const laid = await rig.lay("true", { labels });
  await rig.session.prepare(laid.ref, laid.spec);
  const found = JSON.parse(await docker("inspect", "--format", "{{json .Config.Labels}}", laid.handle.name));
  assert.equal(found.team, "wine");
  assert.equal(found["berth.installation"], rig.harness.installation);
});
