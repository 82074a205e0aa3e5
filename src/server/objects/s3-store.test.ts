import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { type TestContext, test } from "node:test";
import { sharedS3Server } from "../../../test/setup/s3-server.ts";
import { objectStoreContract } from "./contract.ts";
import { directTransfersContract } from "./direct-contract.ts";
import type { ObjectStore } from "./object-store.ts";
import { resumableWritesContract } from "./resumable-contract.ts";
import { parseS3Location } from "./s3-location.ts";
import { openS3Store } from "./s3-store.ts";

/** Opens clients of one new bucket. */
async function bucketOf(t: TestContext): Promise<{ readonly bucket: string; open(prefix: string): ObjectStore }> {
  const server = await sharedS3Server();
  Object.assign(process.env, server.env);
  const bucket = await server.makeBucket();
  const open = (prefix: string) => {
    const location = parseS3Location(`s3://${bucket}/${prefix}?endpoint=${server.endpoint}`, "BERTH_OBJECTS");
    const store = openS3Store(location, { setting: "BERTH_OBJECTS" });
    t.after(() => store[Symbol.dispose]());
    return store;
  };
  return { bucket, open };
}

const make = async (t: TestContext) => {
  const { open } = await bucketOf(t);
  return { open: async () => open("team-a/berth") };
};

objectStoreContract("S3 store", make);
directTransfersContract("S3 store", make);
resumableWritesContract("S3 store", make);

test("stores with different prefixes in one bucket, or none, do not see each other's objects under their own keys", async (t) => {
  const { open } = await bucketOf(t);
  const [all, inner, sibling] = [open(""), open("inner"), open("inner2")];
  await inner.put("key", Readable.from([Buffer.from("inner")]));
  await all.put("key", Readable.from([Buffer.from("all")]));
  assert.equal(String(await buffer((await inner.open("key"))!.stream)), "inner");
  assert.equal(await sibling.stat("key"), null);
  const keys = async (store: ObjectStore) => (await Array.fromAsync(store.list(""))).map(({ key }) => key).sort();
  assert.deepEqual([await keys(all), await keys(inner), await keys(sibling)], [["inner/key", "key"], ["key"], []]);
});
