import assert from "node:assert/strict";
import { test } from "node:test";
import { type BoxPurpose, createBoxRecipient, sealBox } from "./sealed-box.ts";

const PURPOSE: BoxPurpose = { run: "run_a", epoch: 2, stepRun: "train[model=knn]", attempt: 1 };
const VALUE = Buffer.from([0, 1, 2, 253, 254, 255]);

test("a box opens with the key and for the attempt that it was sealed for, and for no other", () => {
  const recipient = createBoxRecipient();
  const sealed = sealBox(recipient.publicKey, VALUE, PURPOSE);
  assert.deepEqual(recipient.open(sealed, PURPOSE), VALUE);
  assert.ok(!sealed.includes(VALUE));
  assert.notDeepEqual(sealBox(recipient.publicKey, VALUE, PURPOSE), sealed, "no two boxes are alike");
  assert.throws(() => createBoxRecipient().open(sealed, PURPOSE), /another key or attempt/);
  for (const other of [{ run: "run_b" }, { epoch: 3 }, { stepRun: "train" }, { attempt: 2 }]) {
    assert.throws(() => recipient.open(sealed, { ...PURPOSE, ...other }), /another key or attempt/);
  }
});

test("a box that was changed or cut anywhere does not open", () => {
  const recipient = createBoxRecipient();
  const sealed = sealBox(recipient.publicKey, VALUE, PURPOSE);
  for (let byte = 0; byte < sealed.length; byte++) {
    const changed = Buffer.from(sealed);
    changed[byte]! ^= 1;
    assert.throws(() => recipient.open(changed, PURPOSE), `byte ${byte}`);
    assert.throws(() => recipient.open(sealed.subarray(0, byte), PURPOSE), `cut at ${byte}`);
  }
});

test("nothing is sealed to a key that anybody could open, or that is none", () => {
  assert.throws(() => sealBox(Buffer.alloc(32), VALUE, PURPOSE));
  assert.throws(() => sealBox(Buffer.alloc(31, 9), VALUE, PURPOSE));
});
