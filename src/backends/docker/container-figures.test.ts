import assert from "node:assert/strict";
import { test } from "node:test";
import { testImage } from "../../../test/setup/docker.ts";
import { ContainerFigures } from "./container-figures.ts";
import { Engine } from "./engine.ts";
import { engineAddress } from "./engine-address.ts";
import { engineFigures } from "./engine-figures.ts";
import { DockerRig } from "./testing/docker-rig.ts";

const image = await testImage();
const BUSY = "echo up; while [ ! -e /berth/out/go ]; do :; done";

test("what a container uses is told while it runs, without what the engine used to make it, and not after its end", async () => {
  await using rig = await DockerRig.open(image);
  const laid = await rig.lay(`${BUSY.replace("do :", "do sleep 0.05")}; exit 0`);
  await rig.submit(laid);
  await rig.untilPrinted(laid, "up\n");
  const use = (await rig.session.stats([laid.handle])).get(laid.handle.name)!;
  assert.ok(use.cpuMs! < 40, `a container costs more than that before its step begins: ${use.cpuMs} ms`);
  assert.ok(use.memoryBytes! > 0 && use.memoryPeakBytes! >= use.memoryBytes!);
  assert.ok(use.pids! >= 1 && use.pids! <= 2, `${use.pids} processes: a shell and perhaps a sleep`);
  assert.deepEqual([use.receivedBytes, use.sentBytes], [0, 0], "there is no network");
  await rig.session.cancel(laid.handle, { graceMs: 0, reason: "user" });
  await rig.end(laid);
  assert.equal((await rig.session.stats([laid.handle])).size, 0);
});

test("what went through the network of a run is counted from the start of the step on", async () => {
  await using rig = await DockerRig.open(image);
  const send = "for i in 1 2 3 4 5; do nslookup berth.invalid 192.0.2.1 >/dev/null 2>&1 & done; sleep 0.5; exit 0";
  const first = await rig.run(send, { network: "run" });
  const second = await rig.run("sleep 0.1", { network: "run" });
  assert.ok(first.outcome.stats.sentBytes! >= 5 * 40, `${first.outcome.stats.sentBytes} bytes sent`);
  assert.ok(second.outcome.stats.sentBytes! < 5 * 40, `${second.outcome.stats.sentBytes} bytes sent`);
});

test("the engine's own figures are taken where the files of a cgroup are out of sight, and not asked for each time", async () => {
  await using rig = await DockerRig.open(image);
  using engine = new Engine(engineAddress(undefined, process.env));
  await engine.negotiate();
  let asked = 0;
  const blind = {
    inspectContainer: async (name: string) => ({ ...(await engine.inspectContainer(name)), Id: "another" }),
    statsOfContainer: (name: string) => {
      asked += 1;
      return engine.statsOfContainer(name);
    },
  } as Engine;
  const figures = new ContainerFigures(async () => blind);
  const laid = await rig.lay(BUSY);
  await rig.submit(laid);
  await rig.untilPrinted(laid, "up\n");
  const first = (await figures.read([laid.handle])).get(laid.handle.name)!;
  assert.ok(first.cpuMs! > 0 && first.memoryBytes! > 0 && first.pids! >= 1, JSON.stringify(first));
  assert.equal(first.sentBytes, undefined, "the network of whoever asks is not the container's");
  assert.deepEqual((await figures.read([laid.handle])).get(laid.handle.name), first);
  assert.equal(asked, 1);
  await rig.session.cancel(laid.handle, { graceMs: 0, reason: "user" });
  await rig.end(laid);
  assert.equal((await figures.read([laid.handle])).size, 0);
});

test("an engine on cgroup version 2 tells no peak of memory, and writes kinds of transfers small", () => {
  const figures = engineFigures({
    cpu_stats: { cpu_usage: { total_usage: 5_000_000 } },
    memory_stats: { usage: 4096 },
    pids_stats: { current: 3 },
    blkio_stats: {
      io_service_bytes_recursive: [
        { op: "read", value: 7 },
        { op: "write", value: 8 },
        { op: "read", value: 1 },
      ],
    },
  });
  assert.deepEqual(figures, { cpuMs: 5, memoryBytes: 4096, pids: 2, readBytes: 8, writtenBytes: 8 });
});
