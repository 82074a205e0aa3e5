import assert from "node:assert/strict";
import { test } from "node:test";
import { pino } from "pino";
import { durably } from "./durably.ts";

const log = pino({ level: "silent" });
const full = () => Object.assign(new Error("no space left on device"), { code: "ENOSPC" });

test("a write that succeeds is over when the call returns", () => {
  let written = false;
  void durably(() => (written = true), { signal: AbortSignal.timeout(1_000), log });
  assert.ok(written);
});

test("a full disk delays what is to be written until there is room", async () => {
  let tries = 0;
  const write = () => {
    if (++tries < 3) throw full();
  };
  await durably(write, { signal: AbortSignal.timeout(10_000), log });
  assert.equal(tries, 3);
});

test("any other failure is passed on at once", async () => {
  const write = () => {
    throw Object.assign(new Error("input/output error"), { code: "EIO" });
  };
  await assert.rejects(durably(write, { signal: AbortSignal.timeout(1_000), log }), { code: "EIO" });
});

test("the wait for room ends with the signal", async () => {
  const write = () => {
    throw full();
  };
  await assert.rejects(durably(write, { signal: AbortSignal.timeout(50), log }));
});
