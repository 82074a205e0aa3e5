import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { test } from "node:test";
import type { StoreFactory } from "./contract.ts";
import type { DirectTransfers } from "./direct-transfers.ts";
import type { ObjectStore } from "./object-store.ts";
import { bodyOf, sendDirect } from "./testing/send-direct.ts";

const MIB = 1024 * 1024;

/** What every object store has to do whose objects clients reach directly. */
export function directTransfersContract(name: string, make: StoreFactory): void {
  const check = (title: string, run: (direct: DirectTransfers, store: ObjectStore) => Promise<void>) => {
    void test(`${name}, directly: ${title}`, async (t) => {
      const store = await (await make(t)).open();
      assert.ok(store.direct);
      await run(store.direct, store);
    });
  };
  const read = async (store: ObjectStore, key: string) => await buffer((await store.open(key))!.stream);
  const expiresInMs = 60_000;

  check(
    "what a client writes is an object, and what the store holds a client reads, in ranges too",
    async (direct, store) => {
      const bytes = randomBytes(2 * MIB + 5);
      const write = await direct.writeUrl("p/one", bodyOf(bytes));
      assert.ok(write.expiresAt.getTime() > Date.now() + 50_000 && write.expiresAt.getTime() <= Date.now() + 61_000);
      assert.equal((await sendDirect(write, bytes)).status, 200);
      assert.ok((await read(store, "p/one")).equals(bytes));
      const readUrl = await direct.readUrl("p/one", { expiresInMs });
      assert.ok((await sendDirect(readUrl, null)).body.equals(bytes));
      const part = await sendDirect(readUrl, null, { range: "bytes=10-19" });
      assert.deepEqual([part.status, part.body], [206, bytes.subarray(10, 20)]);
      assert.equal((await sendDirect(await direct.readUrl("p/none", { expiresInMs }), null)).status, 404);
    },
  );

  check("bytes that are not those announced are refused, and nothing is there", async (direct, store) => {
    const bytes = randomBytes(1000);
    const write = await direct.writeUrl("p/one", bodyOf(bytes));
    const other = Buffer.from(bytes);
    other[500]! ^= 1;
    assert.equal((await sendDirect(write, other)).status, 400);
    const longer = { ...write, headers: { ...write.headers, "content-length": "1001" } };
    assert.equal((await sendDirect(longer, Buffer.concat([bytes, Buffer.from("x")]))).status, 403);
    assert.equal(await store.stat("p/one"), null);
  });

  check("a request is good for its own object only, and until it expires", async (direct) => {
    const bytes = randomBytes(100);
    const write = await direct.writeUrl("p/one", bodyOf(bytes));
    const elsewhere = { ...write, url: write.url.replace("p/one", "p/two") };
    assert.equal((await sendDirect(elsewhere, bytes)).status, 403);
    const short = await direct.writeUrl("p/one", bodyOf(bytes, 1_000));
    const wait = short.expiresAt.getTime() - Date.now() + 1_100;
    await new Promise((done) => setTimeout(done, wait));
    assert.equal((await sendDirect(short, bytes)).status, 403);
  });

  check(
    "parts come in any order, again, and at once; the object is there when they are completed",
    async (direct, store) => {
      const pieces = [randomBytes(5 * MIB), randomBytes(5 * MIB), randomBytes(77)];
      const upload = await direct.beginParts("p/large");
      const send = async (number: number, bytes: Buffer) => {
        const part = await direct.partUrl("p/large", upload, number, bodyOf(bytes));
        assert.equal((await sendDirect(part, bytes)).status, 200);
      };
      await send(2, randomBytes(5 * MIB));
      await Promise.all([send(3, pieces[2]!), send(1, pieces[0]!)]);
      await send(2, pieces[1]!);
      const parts = await direct.listParts("p/large", upload);
      assert.deepEqual(
        parts.map(({ number, size }) => [number, size]),
        pieces.map((piece, index) => [index + 1, piece.length]),
      );
      assert.equal(await store.stat("p/large"), null);
      await direct.completeParts("p/large", upload, parts);
      assert.ok((await read(store, "p/large")).equals(Buffer.concat(pieces)));
      await assert.rejects(direct.listParts("p/large", upload), { code: "gone" });
    },
  );

  check("what was aborted is gone: its parts, what comes later, and its completion", async (direct, store) => {
    const upload = await direct.beginParts("p/large");
    const bytes = randomBytes(1000);
    const part = await direct.partUrl("p/large", upload, 1, bodyOf(bytes));
    assert.equal((await sendDirect(part, bytes)).status, 200);
    const parts = await direct.listParts("p/large", upload);
    await direct.abortParts("p/large", upload);
    await direct.abortParts("p/large", upload);
    assert.equal((await sendDirect(part, bytes)).status, 404);
    await assert.rejects(direct.listParts("p/large", upload), { code: "gone" });
    await assert.rejects(direct.completeParts("p/large", upload, parts), { code: "gone" });
    assert.equal(await store.stat("p/large"), null);
  });

  check(
    "uploads that were left are collected once nothing has moved in them for long enough",
    async (direct, store) => {
      const upload = await direct.beginParts("p/large");
      const bytes = randomBytes(1000);
      await sendDirect(await direct.partUrl("p/large", upload, 1, bodyOf(bytes)), bytes);
      await store.put("p/other", Readable.from([bytes]));
      assert.equal(await store.collectUnfinished(3_600_000), 0, "it may still be going on");
      // Stores tell times in whole seconds.
      await new Promise((done) => setTimeout(done, 1_100));
      assert.equal(await store.collectUnfinished(0), 1);
      await assert.rejects(direct.listParts("p/large", upload), { code: "gone" });
      assert.ok((await read(store, "p/other")).equals(bytes));
    },
  );

  check("keys that could point elsewhere are refused by every method", async (direct) => {
    const refused = { code: "invalid_request" };
    const body = bodyOf(Buffer.alloc(1));
    for (const key of ["", "../a", "a//b", "a b"]) {
      await assert.rejects(direct.readUrl(key, { expiresInMs }), refused);
      await assert.rejects(direct.writeUrl(key, body), refused);
      await assert.rejects(direct.beginParts(key), refused);
      await assert.rejects(direct.partUrl(key, "x", 1, body), refused);
      await assert.rejects(direct.listParts(key, "x"), refused);
      await assert.rejects(direct.completeParts(key, "x", []), refused);
      await assert.rejects(direct.abortParts(key, "x"), refused);
    }
  });
}
