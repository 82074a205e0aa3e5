import assert from "node:assert/strict";
import { test } from "node:test";
import { StartSlots } from "./start-slots.ts";
import { Turns } from "./turns.ts";

test("calls of one name run one after another, a failing one too, and other names do not wait", async () => {
  const turns = new Turns();
  const log: string[] = [];
  const gate = Promise.withResolvers<void>();
  const first = turns.take("a", async () => {
    log.push("a1");
    await gate.promise;
    log.push("a1 ends");
    throw new Error("failed");
  });
  const second = turns.take("a", async () => log.push("a2"));
  await turns.take("b", async () => log.push("b"));
  gate.resolve();
  await assert.rejects(first, /failed/);
  await second;
  assert.deepEqual(log, ["a1", "b", "a1 ends", "a2"]);
});

test("slots bound what runs at once, and give way to what is urgent first", async () => {
  const slots = new StartSlots(1);
  const log: string[] = [];
  const gate = Promise.withResolvers<void>();
  const all = [
    slots.run(false, () => gate.promise),
    slots.run(false, async () => log.push("ahead 1")),
    slots.run(false, async () => log.push("ahead 2")),
    slots.run(true, async () => log.push("urgent")),
  ];
  gate.resolve();
  await Promise.all(all);
  assert.deepEqual(log, ["urgent", "ahead 1", "ahead 2"]);
});

test("a slot is given back by what fails", async () => {
  const slots = new StartSlots(1);
  const failing = slots.run(true, async () => Promise.reject(new Error("failed")));
  await assert.rejects(failing, /failed/);
  assert.equal(await slots.run(true, async () => "next"), "next");
});
