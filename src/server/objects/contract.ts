import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { type TestContext, test } from "node:test";
import type { ObjectStore } from "./object-store.ts";

/** Makes an empty store for one test, and cleans up after it. Called twice with one `place`, two clients of a store. */
export type StoreFactory = (t: TestContext) => Promise<{ open(): Promise<ObjectStore> }>;

/** What every object store has to do. */
export function objectStoreContract(name: string, make: StoreFactory): void {
  const check = (title: string, run: (store: ObjectStore, second: ObjectStore) => Promise<void>) => {
    void test(`${name}: ${title}`, async (t) => {
      const place = await make(t);
      await run(await place.open(), await place.open());
    });
  };
  const read = async (store: ObjectStore, key: string, range?: { start: number; end: number }) => {
    const opened = await store.open(key, range);
    return opened === null ? null : await buffer(opened.stream);
  };
  const keys = async (store: ObjectStore, prefix: string) => {
    const found: string[] = [];
    for await (const entry of store.list(prefix)) found.push(entry.key);
    return found.sort();
  };

  check("what was put is read by every client, byte for byte, with its size", async (store, second) => {
    const bytes = randomBytes(3 * 1024 * 1024 + 17);
    const before = Date.now() - 10_000;
    assert.equal(await store.put("p/ab/one", Readable.from(bytes)), bytes.length);
    assert.deepEqual(await read(second, "p/ab/one"), bytes);
    assert.equal(
      (await second.open("p/ab/one"))?.stream.destroy() && (await second.stat("p/ab/one"))?.size,
      bytes.length,
    );
    assert.ok((await second.stat("p/ab/one"))!.modifiedAt.getTime() > before);
  });

  check("an empty object is an object", async (store) => {
    assert.equal(await store.put("empty", Readable.from([])), 0);
    assert.deepEqual(await read(store, "empty"), Buffer.alloc(0));
  });

  check("a range holds the bytes from start to end, both included, and the size is of the whole", async (store) => {
    await store.put("key", Readable.from(Buffer.from("0123456789")));
    assert.equal(String(await read(store, "key", { start: 2, end: 4 })), "234");
    assert.equal(String(await read(store, "key", { start: 9, end: 9 })), "9");
    assert.equal(String(await read(store, "key", { start: 7, end: 9 })), "789");
    const opened = await store.open("key", { start: 0, end: 0 });
    assert.equal(opened?.size, 10);
    opened?.stream.destroy();
  });

  check("what is not there is null, and deleting it is fine", async (store) => {
    assert.equal(await store.open("none"), null);
    assert.equal(await store.stat("none"), null);
    await store.delete("none");
    await store.put("some", Readable.from(Buffer.from("x")));
    await store.delete("some");
    assert.equal(await store.open("some"), null);
    assert.equal(await store.stat("some"), null);
  });

  check("a put whose stream fails fails with the same error and leaves nothing to see", async (store) => {
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield randomBytes(2 * 1024 * 1024);
      throw new Error("the line was cut");
    }
    await assert.rejects(store.put("p/key", failing()), /the line was cut/);
    assert.equal(await store.open("p/key"), null);
    assert.deepEqual(await keys(store, ""), []);
    await store.put("p/key", Readable.from(Buffer.from("old")));
    await assert.rejects(store.put("p/key", failing()), /the line was cut/);
    assert.equal(String(await read(store, "p/key")), "old");
  });

  check("an object is invisible until it is whole", async (store, second) => {
    const seen: unknown[] = [];
    async function* slow(): AsyncGenerator<Uint8Array> {
      for (let part = 0; part < 3; part++) {
        yield randomBytes(1024 * 1024);
        seen.push(await second.stat("p/key"), ...(await keys(second, "p/")));
      }
    }
    await store.put("p/key", slow());
    assert.deepEqual(seen, [null, null, null]);
    assert.equal((await second.stat("p/key"))?.size, 3 * 1024 * 1024);
  });

  check(
    "many puts of one key at once leave it whole, and so does replacing it while it is read",
    async (store, second) => {
      const bytes = randomBytes(1024 * 1024);
      const put = async (by: ObjectStore) =>
        await by.put("p/key", Readable.from([bytes.subarray(0, 1000), bytes.subarray(1000)]));
      await Promise.all(Array.from({ length: 8 }, (_, index) => put(index % 2 === 0 ? store : second)));
      const opened = await store.open("p/key");
      await store.put("p/key", Readable.from(Buffer.from("other")));
      const digest = (value: Buffer) => createHash("sha256").update(value).digest("hex");
      assert.equal(digest(await buffer(opened!.stream)), digest(bytes));
      assert.equal(String(await read(second, "p/key")), "other");
    },
  );

  check("list names what is below a prefix, and nothing of its neighbours", async (store) => {
    const all = ["a/b/one", "a/b/two", "a/bc/three", "ab/four", "five"];
    for (const key of all) await store.put(key, Readable.from(Buffer.from(key)));
    assert.deepEqual(await keys(store, ""), [...all].sort());
    assert.deepEqual(await keys(store, "a/"), ["a/b/one", "a/b/two", "a/bc/three"]);
    assert.deepEqual(await keys(store, "a/b/"), ["a/b/one", "a/b/two"]);
    assert.deepEqual(await keys(store, "missing/"), []);
  });

  check("more objects than a store lists at once are all listed, each once", async (store) => {
    const all = Array.from({ length: 1_040 }, (_, index) => `many/${String(index).padStart(4, "0")}`);
    for (let at = 0; at < all.length; at += 20) {
      await Promise.all(all.slice(at, at + 20).map((key) => store.put(key, Readable.from([]))));
    }
    assert.deepEqual(await keys(store, "many/"), all);
  });

  check("an object of many parts comes back byte for byte, and ranges go over their borders", async (store, second) => {
    const bytes = randomBytes(40 * 1024 * 1024 + 17);
    const pieces = Array.from({ length: 41 }, (_, index) => bytes.subarray(index << 20, (index + 1) << 20));
    assert.equal(await store.put("p/large", Readable.from(pieces), bytes.length), bytes.length);
    assert.ok((await read(second, "p/large"))?.equals(bytes));
    for (const border of [8 << 20, 16 << 20, 40 << 20]) {
      const part = await read(second, "p/large", { start: border - 5, end: border + 5 });
      assert.ok(part?.equals(bytes.subarray(border - 5, border + 6)));
    }
    assert.equal(await store.collectUnfinished(0), 0);
  });

  check("a large put whose stream fails in the middle leaves nothing, and nothing to collect", async (store) => {
    async function* failing(): AsyncGenerator<Uint8Array> {
      for (let mib = 0; mib < 20; mib++) yield randomBytes(1024 * 1024);
      throw new Error("the line was cut");
    }
    await assert.rejects(store.put("p/large", failing(), 1 << 30), /the line was cut/);
    assert.equal(await store.stat("p/large"), null);
    assert.equal(await store.collectUnfinished(0), 0);
  });

  check("a store that can be used says so", async (store) => {
    await store.check();
    assert.deepEqual(await keys(store, ""), [], "and leaves nothing of the question");
  });

  check("keys that could point elsewhere are refused by every method", async (store) => {
    const bad = [
      "",
      "/a",
      "a/",
      "a//b",
      ".",
      "..",
      "../a",
      "a/../b",
      "a/./b",
      ".hidden",
      "a\\b",
      "a b",
      "a\0b",
      "é",
      "x".repeat(600),
    ];
    for (const key of bad) {
      const refused = { code: "invalid_request" };
      await assert.rejects(async () => await store.put(key, Readable.from([])), refused, JSON.stringify(key));
      await assert.rejects(async () => await store.open(key), refused);
      await assert.rejects(async () => await store.stat(key), refused);
      await assert.rejects(async () => await store.delete(key), refused);
    }
    await assert.rejects(keys(store, "../"), { code: "invalid_request" });
  });

  check("nothing unfinished is left of puts that ended, well or not", async (store) => {
    await store.put("p/key", Readable.from(Buffer.from("x")));
    await assert.rejects(store.put("p/other", Readable.from(cut())), /cut/);
    assert.equal(await store.collectUnfinished(0), 0);
    assert.deepEqual(await keys(store, ""), ["p/key"]);
  });
}

async function* cut(): AsyncGenerator<Uint8Array> {
  yield Buffer.from("half");
  throw new Error("cut");
}
