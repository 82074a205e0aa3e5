import assert from "node:assert/strict";
import { test } from "node:test";
import { StepSlots } from "./step-slots.ts";

test("no more slots are given than there are, and those that wait are served in order", () => {
  const slots = new StepSlots(2);
  const held = [slots.take(), slots.take()];
  assert.equal(slots.take(), null);
  const served: string[] = [];
  const wait = (name: string) => slots.whenFree(() => served.push(`${name}:${slots.take() !== null}`));
  wait("first");
  wait("second");
  held[0]![Symbol.dispose]();
  assert.deepEqual(served, ["first:true"]);
  held[0]![Symbol.dispose]();
  assert.deepEqual(served, ["first:true"], "a slot given back twice is one slot");
  held[1]![Symbol.dispose]();
  assert.deepEqual(served, ["first:true", "second:true"]);
});
