import assert from "node:assert/strict";
import { test } from "node:test";
import { fieldsOf, messageOf, ProtobufError } from "./protobuf.ts";

test("a message is written as its specification says, and read again", () => {
  // The examples of the specification: 150 in field 1, "testing" in field 2.
  assert.equal(
    messageOf({ 1: 150, 2: "testing", 3: "", 4: 0, 5: undefined }).toString("hex"),
    "089601120774657374696e67",
  );
  const big = messageOf({ 1: 0xffffffff, 2: -1n, 3: 1_700_000_000_000_000_001n, 4: messageOf({ 1: "in" }) });
  const fields = [...fieldsOf(big)].map(({ field, value }) => [
    field,
    typeof value === "bigint" ? value : value.toString(),
  ]);
  assert.deepEqual(fields, [
    [1, 0xffffffffn],
    [2, 0xffffffffffffffffn],
    [3, 1_700_000_000_000_000_001n],
    [4, "\n\u0002in"],
  ]);
});

test("what is cut or no message throws, and never reads past the end", () => {
  const whole = messageOf({ 1: 150, 2: "testing" });
  for (const cut of [1, 2, 4, 8]) assert.throws(() => [...fieldsOf(whole.subarray(0, cut))], ProtobufError, `${cut}`);
  assert.throws(() => [...fieldsOf(Buffer.from([0x0f]))], ProtobufError);
  assert.throws(() => [...fieldsOf(Buffer.alloc(20, 0xff))], /more than 64 bits/);
  assert.throws(() => [...fieldsOf(Buffer.from("12ffffffff7f", "hex"))], /within a field/);
});
