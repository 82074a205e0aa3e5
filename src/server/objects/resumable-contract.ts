import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { type TestContext, test } from "node:test";
import type { ObjectStore } from "./object-store.ts";
import type { ResumableWrites } from "./resumable-writes.ts";

const MiB = 1024 * 1024;

/** What every object store has to do that is written to over several requests; two clients of one store are two servers. */
export function resumableWritesContract(
  name: string,
  make: (t: TestContext) => Promise<{ open(): Promise<ObjectStore> }>,
): void {
  const check = (title: string, run: (first: Client, second: Client) => Promise<void>) => {
    void test(`${name}: ${title}`, async (t) => {
      const place = await make(t);
      await run(clientOf(await place.open()), clientOf(await place.open()));
    });
  };

  check("what is appended in several requests, by several servers, becomes one object", async (first, second) => {
    const bytes = randomBytes(20 * MiB + 17);
    const reference = await first.writes.begin("p/key", bytes.length);
    const kept = createHash("sha256");
    let offset = 0;
    for (const [index, end] of [9 * MiB, 18 * MiB, bytes.length].entries()) {
      const client = index % 2 === 0 ? first : second;
      offset = (await client.writes.written("p/key", reference))!;
      const rest = Readable.from(pieces(bytes.subarray(offset, end)));
      await client.writes.append("p/key", reference, {
        ...{ size: bytes.length, offset, bytes: rest },
        onKept: (piece) => kept.update(piece),
      });
      assert.equal(await client.store.stat("p/key"), null, "nothing is visible before it is finished");
    }
    assert.equal(await second.writes.written("p/key", reference), bytes.length);
    assert.equal(kept.digest("hex"), sha256(bytes), "each byte is told once, in order");
    await second.writes.finish("p/key", reference);
    assert.ok((await buffer((await first.store.open("p/key"))!.stream)).equals(bytes));
    assert.equal(await first.writes.written("p/key", reference), null);
  });

  check("of a stream that is cut, what is kept need not be sent again", async ({ writes, store }) => {
    const bytes = randomBytes(30 * MiB);
    const reference = await writes.begin("p/key", bytes.length);
    async function* cut() {
      yield* pieces(bytes.subarray(0, 20 * MiB));
      throw new Error("the line was cut");
    }
    let told = 0;
    const append = {
      ...{ size: bytes.length, offset: 0, bytes: cut() },
      onKept: (piece: Uint8Array) => {
        told += piece.length;
      },
    };
    await assert.rejects(writes.append("p/key", reference, append), /the line was cut/);
    const offset = (await writes.written("p/key", reference))!;
    assert.equal(offset, told);
    assert.ok(offset >= 8 * MiB, `${offset} bytes were kept`);
    const rest = Readable.from(pieces(bytes.subarray(offset)));
    await writes.append("p/key", reference, { size: bytes.length, offset, bytes: rest, onKept: () => {} });
    await writes.finish("p/key", reference);
    assert.ok((await buffer((await store.open("p/key"))!.stream)).equals(bytes));
  });

  check("an append elsewhere than at the end is refused, and says where the end is", async ({ writes }) => {
    const reference = await writes.begin("p/key", 100);
    const at = (offset: number) => ({ size: 100, offset, bytes: Readable.from([randomBytes(100)]), onKept: () => {} });
    await assert.rejects(writes.append("p/key", reference, at(5)), { code: "sequence_gap", details: { expected: 0 } });
    await writes.append("p/key", reference, at(0));
    await assert.rejects(writes.append("p/key", reference, at(0)), { details: { expected: 100 } });
  });

  check("what was aborted, or collected, is gone", async ({ writes, store }) => {
    const aborted = await writes.begin("p/aborted", 100);
    await writes.abort("p/aborted", aborted);
    await writes.abort("p/aborted", aborted);
    const collected = await writes.begin("p/collected", 100);
    // What is written in this very millisecond may look as if it were of the future.
    for (let removed = 0; removed < 1; ) removed += await store.collectUnfinished(0);
    for (const [key, reference] of [
      ["p/aborted", aborted],
      ["p/collected", collected],
    ] as const) {
      assert.equal(await writes.written(key, reference), null);
      const append = { size: 100, offset: 0, bytes: Readable.from([randomBytes(100)]), onKept: () => {} };
      await assert.rejects(writes.append(key, reference, append), { code: "not_found" });
    }
  });
}

interface Client {
  readonly store: ObjectStore;
  readonly writes: ResumableWrites;
}

function clientOf(store: ObjectStore): Client {
  return { store, writes: store.resumable };
}

/** As from a network. */
function pieces(bytes: Buffer): Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += 65_536) found.push(bytes.subarray(at, at + 65_536));
  return found;
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
