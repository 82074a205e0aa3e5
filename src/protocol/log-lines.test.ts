import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { LogLines } from "./log-lines.ts";
import type { LogLine } from "./resources.ts";

function chunk(bytes: Uint8Array, offset: number, more: Partial<LogLine> = {}): LogLine {
  const data = Buffer.from(bytes).toString("base64");
  return {
    stepRun: "train",
    attempt: 1,
    epoch: 1,
    stream: "stdout",
    offset,
    at: "2026-01-01T00:00:00Z",
    data,
    ...more,
  };
}

test("lines are whole however the log was cut into chunks, and repeated bytes are shown once", () => {
  const text = Buffer.from("first ä line\r\n\nthird 𝒜\nno end");
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(text.length), fc.nat(5)), { maxLength: 8 }), (cuts) => {
      const lines = new LogLines();
      let sent = 0;
      const seen: string[] = [];
      for (const [cut, again] of [...cuts.toSorted((a, b) => a[0] - b[0]), [text.length, 0] as const]) {
        const from = Math.max(0, sent - again);
        seen.push(...lines.add(chunk(text.subarray(from, Math.max(cut, sent)), from)).map((line) => line.text));
        sent = Math.max(cut, sent);
      }
      seen.push(...lines.flush().map((line) => line.text));
      assert.deepEqual(seen, ["first ä line", "", "third 𝒜", "no end"]);
    }),
  );
});

test("streams, attempts and epochs do not mix", () => {
  const lines = new LogLines();
  assert.deepEqual(lines.add(chunk(Buffer.from("out"), 0)), []);
  assert.deepEqual(
    lines.add(chunk(Buffer.from("err\n"), 0, { stream: "stderr" })).map((line) => line.text),
    ["err"],
  );
  assert.deepEqual(
    lines.add(chunk(Buffer.from("again\n"), 0, { attempt: 2 })).map((line) => line.text),
    ["again"],
  );
  assert.deepEqual(
    lines.add(chunk(Buffer.from("taken over\n"), 0, { epoch: 2 })).map((line) => line.text),
    ["taken over"],
  );
  assert.deepEqual(
    lines.flush().map((line) => line.text),
    ["out"],
  );
});

test("a line without an end is shown in pieces rather than gathered without limit", () => {
  const lines = new LogLines();
  assert.equal(lines.add(chunk(Buffer.alloc(100_000, "x"), 0)).length, 1);
});
