import assert from "node:assert/strict";
import { PassThrough, Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { test } from "node:test";
import { watchedStream } from "./watched-stream.ts";

const failed = (cause: Error) => new Error(`the store: ${cause.message}`, { cause });

test("bytes are passed on as they come", async () => {
  const pieces = Array.from({ length: 100 }, (_, index) => Buffer.alloc(10_000, index));
  const watched = watchedStream(Readable.from(pieces, { objectMode: false }), {
    size: 1_000_000,
    idleMs: 1000,
    failed,
  });
  assert.deepEqual(await buffer(watched), Buffer.concat(pieces));
});

test("a sender that stalls is given up, one whose reader is slow is not", async () => {
  const stalled = new PassThrough();
  stalled.write("half");
  await assert.rejects(buffer(watchedStream(stalled, { size: 8, idleMs: 50, failed })), /nothing came for 50 ms/);
  assert.ok(stalled.destroyed);

  const source = Readable.from([Buffer.alloc(200_000, 1), Buffer.alloc(200_000, 2)], { objectMode: false });
  const watched = watchedStream(source, { size: 400_000, idleMs: 50, failed });
  let read = 0;
  for await (const chunk of watched) {
    read += chunk.length;
    await new Promise((done) => setTimeout(done, 150));
  }
  assert.equal(read, 400_000);
});

test("fewer and more bytes than announced fail, and so does a connection that breaks", async () => {
  const watch = (source: Readable) => buffer(watchedStream(source, { size: 5, idleMs: 1000, failed }));
  await assert.rejects(watch(Readable.from(["four"], { objectMode: false })), /4 bytes, not the 5 announced/);
  await assert.rejects(watch(Readable.from(["longer"], { objectMode: false })), /more than the 5 bytes/);
  const broken = new PassThrough();
  broken.write("abc");
  setTimeout(() => broken.destroy(), 20);
  await assert.rejects(watch(broken), /closed early/);
  const failing = new PassThrough();
  setTimeout(() => failing.destroy(new Error("reset")), 20);
  await assert.rejects(watch(failing), /the store: reset/);
});

test("whoever stops reading lets go of the sender", async () => {
  const source = new PassThrough();
  const watched = watchedStream(source, { size: 5, idleMs: 50, failed });
  watched.resume();
  watched.destroy();
  await new Promise((done) => setTimeout(done, 100));
  assert.ok(source.destroyed && watched.errored === null);
});
