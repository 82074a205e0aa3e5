import assert from "node:assert/strict";
import { test } from "node:test";
import { Interrupts } from "./on-interrupt.ts";

test("an interrupt that came before the hand-over is told to who takes over, and those after it go on counting", () => {
  const early: number[] = [];
  const late: string[] = [];
  {
    using interrupts = new Interrupts((count) => void early.push(count));
    process.emit("SIGINT", "SIGINT");
    interrupts.handOver((count, signal) => void late.push(`${count} ${signal}`));
    process.emit("SIGTERM", "SIGTERM");
  }
  assert.deepEqual([early, late], [[1], ["1 SIGINT", "2 SIGTERM"]]);
  using quiet = new Interrupts(() => {});
  quiet.handOver(() => assert.fail("nothing came before"));
});
