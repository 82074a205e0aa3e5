import assert from "node:assert/strict";
import { test } from "node:test";
import { Permits } from "./permits.ts";

test("who waits too long leaves the line, and takes nobody's turn", async () => {
  const permits = new Permits(1);
  const first = await permits.acquire();
  const impatient = new AbortController();
  const left = permits.acquire(impatient.signal);
  const patient = permits.acquire(new AbortController().signal);
  impatient.abort(new Error("too long"));
  await assert.rejects(left, /too long/);
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  const second = await patient;
  impatient.abort();
  second[Symbol.dispose]();
  const third = await permits.acquire();
  await assert.rejects(permits.acquire(AbortSignal.abort(new Error("gone"))), /gone/);
  third[Symbol.dispose]();
  await permits.acquire();
});
