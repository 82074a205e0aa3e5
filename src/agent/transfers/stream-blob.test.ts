import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { test } from "node:test";
import { pino } from "pino";
import type { AgentClient } from "../agent-client.ts";
import { streamBlob } from "./stream-blob.ts";

const BYTES = Buffer.from("0123456789");

/** A server whose answers break off after so many bytes each, and that has `stored` bytes of the blob. */
function streamed(stored: number, bytesPerAnswer: number) {
  const asked: number[] = [];
  const getBlob: AgentClient["getBlob"] = async (_run, _epoch, _digest, offset) => {
    asked.push(offset);
    const end = Math.min(stored, offset + bytesPerAnswer);
    return Readable.from(
      (function* () {
        if (end > offset) yield BYTES.subarray(offset, end);
        if (end < BYTES.length) throw new Error("it broke off");
      })(),
    );
  };
  const options = { lease: { run: "run", epoch: 1 }, signal: AbortSignal.timeout(10_000), pauseMs: () => 0 };
  const log = pino({ level: "silent" });
  return { asked, stream: streamBlob({ getBlob } as AgentClient, "digest", 0, { ...options, log }) };
}

test("a connection that always breaks, but after a byte, only takes longer", async () => {
  const { asked, stream } = streamed(BYTES.length, 1);
  assert.deepEqual(Buffer.concat(await Array.fromAsync(stream)), BYTES);
  assert.equal(asked.length, 10);
});

test("a blob whose stored bytes end early is given up, not asked for without end", async () => {
  const { asked, stream } = streamed(4, 10);
  await assert.rejects(Array.fromAsync(stream), { code: "digest_mismatch", message: /its first 4 bytes/ });
  assert.ok(asked.length < 30, `asked ${asked.length} times`);
});
