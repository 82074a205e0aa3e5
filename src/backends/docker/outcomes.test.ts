import assert from "node:assert/strict";
import { test } from "node:test";
import { testImage } from "../../../test/setup/docker.ts";
import { docker } from "./testing/docker-harness.ts";
import { DockerRig } from "./testing/docker-rig.ts";

const image = await testImage();
const MEMORY = { cpus: null, memoryBytes: 32 * 1024 * 1024, pids: 64 };
const HANG = "trap '' TERM; echo up; while :; do sleep 0.05; done";

test("a kill by the memory limit is oom, and the same signal by the step's own hand is not", async () => {
  await using rig = await DockerRig.open(image);
  const over = await rig.run("exec tail /dev/zero", { limits: MEMORY });
  assert.deepEqual([over.outcome.state, over.outcome.fault?.code, over.outcome.signal], ["failed", "oom", "SIGKILL"]);
  assert.ok((over.outcome.stats.memoryPeakBytes ?? 0) > 16 * 1024 * 1024);
  const own = await rig.run("kill -9 $$", { limits: MEMORY });
  assert.deepEqual([own.outcome.fault?.code, own.outcome.signal], ["killed-by-signal", "SIGKILL"]);
});

test("a child killed by the memory limit in a step that exits 0 is a success with a warning", async () => {
  await using rig = await DockerRig.open(image);
  const { outcome } = await rig.run("tail /dev/zero; exit 0", { limits: MEMORY });
  assert.equal(outcome.state, "succeeded");
  assert.match(outcome.warnings.join(), /memory limit/);
});

test("a child killed by the memory limit in a step that then fails by itself is oom: more memory may help", async () => {
  await using rig = await DockerRig.open(image);
  const { outcome } = await rig.run("tail /dev/zero || exit 3", { limits: MEMORY });
  assert.deepEqual([outcome.fault?.code, outcome.fault?.class, outcome.exitCode], ["oom", "oom", 3]);
  assert.match(outcome.fault!.message, /exited with code 3/);
  assert.match(outcome.fault!.evidence!, /memory limit killed 1 process/);
});

test("a step that could not have more processes fails with the limit as evidence", async () => {
  await using rig = await DockerRig.open(image);
  const limits = { cpus: null, memoryBytes: null, pids: 4 };
  const { outcome } = await rig.run("for i in 1 2 3 4 5 6; do sleep 5 & done; exit 2", { limits });
  assert.equal(outcome.fault?.code, "exit-nonzero");
  assert.match(outcome.fault.evidence!, /limit of processes was reached: \d+ new ones? w/);
});

test("the outcome tells what the step used: CPU time by kind, memory and disks", async () => {
  await using rig = await DockerRig.open(image);
  const write = "dd if=/dev/zero of=/berth/tmp/file bs=1M count=4 conv=fsync 2>/dev/null";
  const spin = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done";
  const { outcome } = await rig.run(`${write}; ${spin}`);
  const { cpuMs, cpuUserMs, cpuSystemMs, writtenBytes, memoryPeakBytes } = outcome.stats;
  assert.ok(
    cpuUserMs! > 10 && cpuSystemMs! > 0 && cpuUserMs! + cpuSystemMs! <= cpuMs! * 1.2 + 20,
    JSON.stringify(outcome.stats),
  );
  assert.ok(writtenBytes! >= 4 * 1024 * 1024, `${writtenBytes} bytes written`);
  assert.ok(memoryPeakBytes! > 0);
});

test("our kill after the grace is a cancel, not oom and not a signal from inside", async () => {
  await using rig = await DockerRig.open(image);
  const laid = await rig.lay(HANG);
  await rig.submit(laid);
  await rig.untilPrinted(laid, "up\n");
  assert.equal(await rig.session.cancel(laid.handle, { graceMs: 100, reason: "user" }), "requested");
  const outcome = await rig.end(laid);
  assert.deepEqual([outcome.state, outcome.fault?.code, outcome.signal], ["cancelled", "cancelled", "SIGKILL"]);
});

test("the grace is kept although the agent that cancelled is gone", async () => {
  await using rig = await DockerRig.open(image);
  const laid = await rig.lay(HANG);
  await rig.submit(laid);
  await rig.untilPrinted(laid, "up\n");
  const other = await rig.anotherSession();
  await other.cancel(laid.handle, { graceMs: 300, reason: "fenced" });
  await other[Symbol.asyncDispose]();
  assert.equal((await rig.end(laid)).state, "cancelled");
});

test("a container killed from outside is lost, and stays so after it was removed", async () => {
  await using rig = await DockerRig.open(image);
  const laid = await rig.lay(HANG);
  await rig.submit(laid);
  await rig.untilPrinted(laid, "up\n");
  await docker("kill", laid.handle.name);
  const outcome = await rig.end(laid);
  assert.deepEqual([outcome.state, outcome.fault?.code], ["lost", "deleted-externally"]);
  await docker("rm", laid.handle.name);
  assert.deepEqual(await rig.end(laid), outcome);
});

test("a container removed while it ran is lost, user code started, and a second submit does not run it again", async () => {
  await using rig = await DockerRig.open(image);
  const laid = await rig.lay("echo x >>/berth/out/runs; sleep 1000");
  await rig.submit(laid);
  await rig.untilRunning(laid);
  await docker("rm", "--force", laid.handle.name);
  const seen = await rig.until(
    "the end",
    () => rig.see(laid),
    ({ state }) => state === "terminal",
  );
  assert.deepEqual([seen.outcome?.state, seen.userCode], ["lost", "started"]);
  await (await rig.anotherSession()).submit(laid.ref, laid.spec);
  assert.deepEqual(await rig.see(laid), seen);
  assert.equal(await docker("ps", "--all", "--quiet", "--filter", `name=${laid.handle.name}`), "");
});

test("a container removed after its end tells the true outcome and its whole log", async () => {
  await using rig = await DockerRig.open(image);
  const laid = await rig.run("echo last words; exit 42");
  await docker("rm", "--force", laid.handle.name);
  const fresh = await rig.anotherSession();
  assert.equal((await rig.see(laid, fresh)).outcome?.exitCode, 42);
  assert.equal(await rig.log(laid), "last words\n");
  assert.deepEqual(await fresh.attach(laid.ref), laid.handle);
});

test("a step that was stopped from outside and exits 0 in its TERM handler has not succeeded", async () => {
  await using rig = await DockerRig.open(image);
  const laid = await rig.lay("trap 'exit 0' TERM; echo up; while :; do sleep 0.05; done");
  await rig.submit(laid);
  await rig.untilPrinted(laid, "up\n");
  await docker("stop", laid.handle.name);
  const outcome = await rig.end(laid);
  assert.deepEqual([outcome.state, outcome.fault?.code], ["failed", "deleted-externally"]);
});

test("a paused container is running, and is released with force", async () => {
  await using rig = await DockerRig.open(image);
  const laid = await rig.lay(HANG);
  await rig.submit(laid);
  await rig.untilPrinted(laid, "up\n");
  await docker("pause", laid.handle.name);
  assert.equal((await rig.see(laid)).state, "running");
  await rig.session.release(laid.handle, { force: true });
  assert.equal(await docker("ps", "--all", "--quiet", "--filter", `name=${laid.handle.name}`), "");
});

test("many attempts are observed with one answer each, those that ended and those that run", async () => {
  await using rig = await DockerRig.open(image);
  const laid = [];
  for (let count = 0; count < 6; count++) laid.push(await rig.lay(count < 5 ? HANG : "exit 7"));
  await Promise.all(laid.map((attempt) => rig.submit(attempt)));
  for (const attempt of laid.slice(0, 5)) await rig.untilPrinted(attempt, "up\n");
  await rig.end(laid[5]!);
  await docker("rm", "--force", laid[0]!.handle.name);
  const seen = await rig.session.observe(laid.map(({ handle }) => handle));
  const told = laid.map(({ handle }) => {
    const observation = seen.get(handle.name)!;
    return "state" in observation ? (observation.outcome?.state ?? observation.state) : observation.code;
  });
  assert.deepEqual(told, ["lost", "running", "running", "running", "running", "failed"]);
});
