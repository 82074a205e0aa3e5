import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseEventStream, type StreamEvent } from "./event-stream.ts";

async function parse(chunks: readonly Uint8Array[]): Promise<StreamEvent[]> {
  const events: StreamEvent[] = [];
  for await (const event of parseEventStream(
    (async function* () {
      yield* chunks;
    })(),
  ))
    events.push(event);
  return events;
}

const TEXT = 'retry: 100\n: keep-alive\n\nid: 1\nevent: run\ndata: {"a":"ä"}\n\nid: 2\r\ndata: one\r\ndata:two\r\n\r\n';

test("events have id, name and data; comments and other fields are dropped", async () => {
  assert.deepEqual(await parse([Buffer.from(TEXT)]), [
    { id: "1", event: "run", data: '{"a":"ä"}' },
    { id: "2", event: "message", data: "one\ntwo" },
  ]);
});

test("an event that was cut off by the end of the stream is not delivered", async () => {
  assert.deepEqual(await parse([Buffer.from("id: 1\ndata: whole\n\nid: 2\ndata: half")]), [
    { id: "1", event: "message", data: "whole" },
  ]);
});

test("it makes no difference where the stream is cut into chunks", async () => {
  const bytes = Buffer.from(TEXT);
  const whole = await parse([bytes]);
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(bytes.length), { maxLength: 8 }), async (cuts) => {
      const at = [0, ...cuts.toSorted((a, b) => a - b), bytes.length];
      assert.deepEqual(await parse(at.slice(1).map((end, index) => bytes.subarray(at[index], end))), whole);
    }),
  );
});
