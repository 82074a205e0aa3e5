import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { zstdDecompressSync } from "node:zlib";
import { pino } from "pino";
import { LogBatch } from "../protocol/agent-api.ts";
import { BerthError } from "../protocol/errors.ts";
import type { AckedLog } from "./journal-record.ts";
import { LogShipper, type LogSource } from "./log-shipper.ts";

/** A stream that grows, and a server that stores what it is sent. */
function setUp(t: TestContext) {
  const stop = new AbortController();
  t.after(() => stop.abort());
  const stored = new Map<string, Buffer>();
  const acked: AckedLog[] = [];
  const server = { requests: 0, bytesMax: 0, fail: (): BerthError | null => null };
  const shipper = new LogShipper({
    epoch: 3,
    send: async (body) => {
      server.requests += 1;
      const failure = server.fail();
      if (failure !== null) throw failure;
      const raw = zstdDecompressSync(body);
      const line = raw.indexOf(0x0a);
      server.bytesMax = Math.max(server.bytesMax, raw.length - line);
      let position = line + 1;
      for (const chunk of LogBatch.parse(JSON.parse(raw.subarray(0, line).toString())).chunks) {
        const known = stored.get(chunk.stepRun) ?? Buffer.alloc(0);
        if (chunk.offset > known.length) {
          throw new BerthError("sequence_gap", "gap", { details: { ...chunk, expected: known.length } });
        }
        const bytes = raw.subarray(position, position + chunk.length).subarray(known.length - chunk.offset);
        stored.set(chunk.stepRun, Buffer.concat([known, bytes]));
        position += chunk.length;
      }
    },
    journalAcked: (offsets) => acked.push(...offsets),
    onRefused: (error) => assert.fail(error.message),
    signal: stop.signal,
    log: pino({ level: "silent" }),
  });
  return { shipper, stored, server, acked };
}

function growing(stepRun: string, bytes: () => Buffer): LogSource {
  return { stepRun, attempt: 1, stream: "stdout", read: async (offset, max) => bytes().subarray(offset, offset + max) };
}

test("a stream is shipped to its last byte, in requests of bounded size", async (t) => {
  const { shipper, stored, server } = setUp(t);
  const bytes = Buffer.from(Array.from({ length: 20_000_000 }, (_, index) => index % 251));
  const source = growing("big", () => bytes);
  shipper.follow(source, 0);
  await shipper.end(source);
  assert.ok(stored.get("big")!.equals(bytes));
  assert.ok(server.bytesMax <= 4 * 1024 * 1024 + 1);
});

test("many short streams travel in few requests", async (t) => {
  const { shipper, stored, server } = setUp(t);
  const sources = Array.from({ length: 300 }, (_, index) =>
    growing(`s${index}`, () => Buffer.from(`line of ${index}\n`)),
  );
  for (const source of sources) shipper.follow(source, 0);
  await Promise.all(sources.map((source) => shipper.end(source)));
  assert.equal(stored.size, 300);
  assert.equal(stored.get("s299")!.toString(), "line of 299\n");
  assert.ok(server.requests <= 3, `${server.requests} requests`);
});

test("live bytes arrive within a second, before the stream ends", async (t) => {
  const { shipper, stored } = setUp(t);
  let text = "";
  shipper.follow(
    growing("live", () => Buffer.from(text)),
    0,
  );
  const writtenAtMs = performance.now();
  text = "hello\n";
  while (stored.get("live")?.toString() !== "hello\n") {
    assert.ok(performance.now() - writtenAtMs < 1_000, "not within a second");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
});

test("where the server holds less than was believed, shipping resumes where it says", async (t) => {
  const { shipper, stored } = setUp(t);
  stored.set("gap", Buffer.from("0123"));
  const source = growing("gap", () => Buffer.from("0123456789"));
  shipper.follow(source, 8);
  await shipper.end(source);
  assert.equal(stored.get("gap")!.toString(), "0123456789");
});

test("a server that is away delays logs and loses none", async (t) => {
  const { shipper, stored, server } = setUp(t);
  let failures = 3;
  server.fail = () => (failures-- > 0 ? new BerthError("unavailable", "away") : null);
  const source = growing("s", () => Buffer.from("kept"));
  shipper.follow(source, 0);
  await shipper.end(source);
  assert.equal(stored.get("s")!.toString(), "kept");
});

test("an unreadable stream does not hold back the others", async (t) => {
  const { shipper, stored } = setUp(t);
  const broken: LogSource = {
    ...growing("broken", () => Buffer.alloc(0)),
    read: () => Promise.reject(new Error("EIO")),
  };
  shipper.follow(broken, 0);
  const source = growing("fine", () => Buffer.from("fine"));
  shipper.follow(source, 0);
  await shipper.end(source);
  assert.equal(stored.get("fine")!.toString(), "fine");
});
