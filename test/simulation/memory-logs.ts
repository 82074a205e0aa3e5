import { zstdDecompressSync } from "node:zlib";
import { LogBatch } from "../../src/protocol/agent-api.ts";
import { BerthError } from "../../src/protocol/errors.ts";
import type { MemoryRun } from "./memory-run.ts";

/** Stores what is new of a log request, or throws `sequence_gap` and stores nothing; see scheduling/append-logs.ts. */
export function appendInMemory(body: Buffer, runOf: (epoch: number) => { run: MemoryRun; epoch: number }) {
  const raw = zstdDecompressSync(body);
  const newline = raw.indexOf(0x0a);
  const batch = LogBatch.parse(JSON.parse(raw.subarray(0, newline).toString()));
  const { run, epoch } = runOf(batch.epoch);
  const fresh = new Map<string, Buffer>();
  let position = newline + 1;
  let accepted = 0;
  for (const { stepRun, attempt, stream, offset, length } of batch.chunks) {
    const bytes = raw.subarray(position, position + length);
    position += length;
    const key = logKey(epoch, stepRun, attempt, stream);
    const stored = fresh.get(key) ?? run.logs.get(key) ?? Buffer.alloc(0);
    if (offset > stored.length) {
      const details = { stepRun, attempt, stream, expected: stored.length };
      throw new BerthError("sequence_gap", `${stream} of ${stepRun} ends at ${stored.length}, not ${offset}.`, {
        details,
      });
    }
    const added = bytes.subarray(stored.length - offset);
    accepted += added.length;
    fresh.set(key, Buffer.concat([stored, added]));
  }
  for (const [key, bytes] of fresh) run.logs.set(key, bytes);
  return { accepted };
}

export function logKey(epoch: number, stepRun: string, attempt: number, stream: string): string {
  return `${epoch} ${stepRun} ${attempt} ${stream}`;
}
