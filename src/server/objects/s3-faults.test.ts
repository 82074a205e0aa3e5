import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { type TestContext, test } from "node:test";
import { PutBucketPolicyCommand, S3Client } from "@aws-sdk/client-s3";
import { freePort } from "../../../test/setup/free-port.ts";
import { errorOf } from "../../../test/setup/run-fixture.ts";
import { type S3Server, sharedS3Server } from "../../../test/setup/s3-server.ts";
import { testServer } from "../../../test/setup/server.ts";
import { type TransferProxy, transferProxy } from "../../../test/setup/transfer-proxy.ts";
import { blobRoutes } from "../http/blobs.ts";
import type { ObjectStore } from "./object-store.ts";
import { oneStore } from "./object-tiers.ts";
import { parseS3Location } from "./s3-location.ts";
import { openS3Store, type S3StoreOptions } from "./s3-store.ts";

/** Bytes that go by parts, and some that do not. */
const LARGE = randomBytes(20 * 1024 * 1024);
const SMALL = randomBytes(100_000);

interface Faulty {
  readonly store: ObjectStore;
  /** Past the proxy. */
  readonly sound: ObjectStore;
  readonly proxy: TransferProxy;
  readonly bucket: string;
}

const QUICK = { answerMs: 400, sendMs: 400, completeMs: 400 };

async function faulty(t: TestContext, timeouts: S3StoreOptions["timeouts"] = {}): Promise<Faulty> {
  const server = await sharedS3Server();
  Object.assign(process.env, server.env);
  const bucket = await server.makeBucket();
  const proxy = await transferProxy(t, () => server.endpoint);
  return {
    store: openAt(t, `s3://${bucket}/p?endpoint=${proxy.url}`, timeouts),
    sound: openAt(t, `s3://${bucket}/p?endpoint=${server.endpoint}`),
    ...{ proxy, bucket },
  };
}

function openAt(t: TestContext, place: string, timeouts: S3StoreOptions["timeouts"] = {}): ObjectStore {
  const store = openS3Store(parseS3Location(place, "BERTH_OBJECTS"), { setting: "BERTH_OBJECTS", timeouts });
  t.after(() => store[Symbol.dispose]());
  return store;
}

const put = async (store: ObjectStore, bytes: Buffer) => await store.put("key", Readable.from([bytes]), bytes.length);
const read = async (store: ObjectStore) => await buffer((await store.open("key"))!.stream);
const isPut = ({ method, url }: IncomingMessage) => method === "PUT" && !url!.includes("berth-check");

/** Every method fails with this code, and words that name the store. */
async function allFail(store: ObjectStore, code: string, words: RegExp): Promise<void> {
  const refused = (error: Error & { code?: string; advice?: string }) => {
    assert.equal(error.code, code, error.message);
    assert.match(error.message, words);
    assert.ok(error.advice);
    return true;
  };
  await assert.rejects(store.check(), refused);
  await assert.rejects(put(store, SMALL), refused);
  await assert.rejects(store.open("key"), refused);
  await assert.rejects(store.stat("key"), refused);
  await assert.rejects(store.delete("key"), refused);
  await assert.rejects(Array.fromAsync(store.list("")), refused);
  await assert.rejects(store.collectUnfinished(0), refused);
}

test("a store that answers 500 or 503 is unavailable, by name; one failure alone is not noticed", async (t) => {
  const { store, proxy, bucket } = await faulty(t);
  for (const status of [500, 503]) {
    proxy.fault = () => ({ answer: status });
    await allFail(
      store,
      "unavailable",
      new RegExp(`cannot .*: bucket ${bucket} \\(prefix p/\\) at http.* answers ${status}`),
    );
  }
  let failures = 0;
  proxy.fault = () => (failures++ === 0 ? { answer: 500 } : undefined);
  await put(store, SMALL);
  failures = 0;
  assert.deepEqual(await read(store), SMALL);
});

test("a store that hangs is unavailable in time, and so is one that cannot be reached", async (t) => {
  const { store, proxy } = await faulty(t, QUICK);
  proxy.fault = () => "hang";
  await allFail(store, "unavailable", /does not answer in time/);
  const port = await freePort();
  await allFail(openAt(t, `s3://bucket?endpoint=http://127.0.0.1:${port}`), "unavailable", /ECONNREFUSED/);
});

test("an answer that breaks off fails instead of being taken for the whole", async (t) => {
  const { store, sound, proxy } = await faulty(t);
  await put(sound, LARGE);
  proxy.fault = ({ method }) => (method === "GET" ? { cutAnswerAfter: LARGE.length / 2 } : undefined);
  await assert.rejects(read(store), { code: "unavailable" });
});

test("bytes that change on their way to the store are refused, and nothing of them is left", async (t) => {
  const { store, sound, proxy } = await faulty(t);
  for (const bytes of [SMALL, LARGE]) {
    proxy.fault = (request) => (isPut(request) ? { changeRequestAt: 5_000 } : undefined);
    await assert.rejects(put(store, bytes), { code: "unavailable", message: /received other bytes than were sent/ });
    assert.equal(await sound.stat("key"), null);
    assert.equal(await sound.collectUnfinished(0), 0);
  }
});

test("an upload that is cut once is sent again; one that is cut for good leaves nothing", async (t) => {
  const { store, sound, proxy } = await faulty(t);
  let cuts = 0;
  proxy.fault = (request) => (isPut(request) && cuts++ === 1 ? { cutRequestAfter: 100_000 } : undefined);
  await put(store, LARGE);
  assert.deepEqual(await read(sound), LARGE);
  await sound.delete("key");
  proxy.fault = (request) => (isPut(request) ? { cutRequestAfter: 100_000 } : undefined);
  await assert.rejects(put(store, LARGE), { code: "unavailable" });
  proxy.fault = () => undefined;
  assert.equal(await sound.stat("key"), null);
  assert.equal(await sound.collectUnfinished(0), 0);
});

test("a store that says it stored what it did not is found out", async (t) => {
  const { store, proxy } = await faulty(t);
  proxy.fault = (request) => (isPut(request) ? { answer: 200 } : undefined);
  await assert.rejects(put(store, SMALL), {
    code: "unavailable",
    message: /holds nothing after 100000 bytes were stored/,
  });
});

test("what is given to a store that does not check it is read again; other bytes are found out and removed", async (t) => {
  const { store, sound, proxy } = await faulty(t);
  const unchecked = ({ url }: IncomingMessage) => (url!.includes("berth-check") ? { answer: 200 } : undefined);
  proxy.fault = unchecked;
  for (const bytes of [SMALL, LARGE, Buffer.alloc(0)]) {
    await put(store, bytes);
    assert.deepEqual(await read(sound), bytes);
    const reads = proxy.requests.filter((request) => request.startsWith("GET"));
    assert.notEqual(reads.length, 0);
  }
  proxy.fault = (request) => (request.method === "GET" ? { changeAnswerAt: 9_000_000 } : unchecked(request));
  await assert.rejects(put(store, LARGE), { code: "unavailable", message: /holds other bytes than were stored/ });
  assert.equal(await sound.stat("key"), null);
});

test("a missing bucket, wrong credentials and none at all say what to set", async (t) => {
  const { endpoint } = await sharedS3Server();
  const { bucket } = await faulty(t);
  await profilesOf(t, { wrong: { accessKeyId: "nobody", secretAccessKey: "x" } });
  const misconfigured = (words: RegExp, advice: RegExp) => (error: Error & { code: string; advice: string }) => {
    assert.equal(error.code, "store_misconfigured", error.message);
    assert.match(error.message, words);
    assert.match(error.advice, advice);
    return true;
  };
  const check = async (place: string) => await openAt(t, place).check();
  await assert.rejects(
    check(`s3://no-such-bucket?endpoint=${endpoint}`),
    misconfigured(
      /bucket no-such-bucket at http.* does not exist/,
      /Create the bucket no-such-bucket, or set BERTH_OBJECTS/,
    ),
  );
  const place = `s3://${bucket}?endpoint=${endpoint}&profile=`;
  await assert.rejects(check(`${place}wrong`), misconfigured(/InvalidAccessKeyId/, /AWS_ACCESS_KEY_ID/));
  await assert.rejects(
    check(`${place}unknown`),
    misconfigured(/needs credentials, and there are none/, /or the profile/),
  );
  const page = openAt(t, `s3://${bucket}?endpoint=${(await htmlServer(t)).url}`);
  await assert.rejects(page.check(), { code: "unavailable", advice: /BERTH_OBJECTS/ });
});

test("the rights that the documentation lists are all that is needed, and without them it is said which", async (t) => {
  const server = await sharedS3Server();
  const { bucket } = await faulty(t);
  const user = server.makeUser();
  await profilesOf(t, { user });
  const store = openAt(t, `s3://${bucket}/production?endpoint=${server.endpoint}&profile=user`);
  await assert.rejects(store.check(), { code: "store_misconfigured", message: /AccessDenied/ });
  await setPolicy(server, bucket, user.accessKeyId, documentedPolicy(bucket));
  await store.check();
  for (const bytes of [SMALL, LARGE]) {
    await put(store, bytes);
    assert.deepEqual(await read(store), bytes);
  }
  assert.equal((await Array.fromAsync(store.list(""))).length, 1);
  const upload = await store.direct!.beginParts("other");
  assert.deepEqual(await store.direct!.listParts("other", upload), []);
  assert.equal(await store.collectUnfinished(-1_000), 1);
  await store.delete("key");
  assert.equal(await store.stat("key"), null);
  const outside = openAt(t, `s3://${bucket}/elsewhere?endpoint=${server.endpoint}&profile=user`);
  await assert.rejects(put(outside, SMALL), { code: "store_misconfigured" });
});

test("the API says that the store is away, and works again when it is back; rows are not touched by it", async (t) => {
  const { store, proxy } = await faulty(t, QUICK);
  const objects = { ...oneStore(store), objectMinBytes: 10_000 };
  const server = await testServer(t, (services) => blobRoutes(services), { objects });
  const send = async (bytes: Buffer) => {
    const url = `/blobs/${createHash("sha256").update(bytes).digest("hex")}`;
    const headers = { "content-type": "application/octet-stream" };
    const stored = await server.call("developer", { method: "PUT", url, payload: bytes, headers });
    return { stored, url };
  };
  proxy.fault = () => ({ answer: 500 });
  const { stored, url } = await send(SMALL);
  assert.deepEqual([stored.statusCode, errorOf(stored).code], [503, "unavailable"]);
  assert.match(errorOf(stored).message, /^The data store cannot .*: bucket /);
  assert.equal((await send(randomBytes(100))).stored.statusCode, 200);
  proxy.fault = () => undefined;
  assert.equal((await send(SMALL)).stored.statusCode, 200);
  proxy.fault = () => "hang";
  const away = await server.call("developer", { url });
  assert.deepEqual([away.statusCode, errorOf(away).code], [503, "unavailable"]);
  proxy.fault = ({ method }) => (method === "GET" ? { answer: 403 } : undefined);
  const refused = await server.call("developer", { url });
  assert.deepEqual([refused.statusCode, errorOf(refused).code], [503, "store_misconfigured"]);
  proxy.fault = () => undefined;
  assert.ok((await server.call("developer", { url })).rawPayload.equals(SMALL));
});

/** What is no S3, but answers. */
async function htmlServer(t: TestContext): Promise<TransferProxy> {
  const proxy = await transferProxy(t, () => "");
  proxy.fault = () => ({ answer: 200, body: "<html><body>Welcome</body></html>" });
  return proxy;
}

type Keys = Readonly<Record<string, { readonly accessKeyId: string; readonly secretAccessKey: string }>>;

/** Profiles of the SDK, until the test ends. */
async function profilesOf(t: TestContext, keys: Keys): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "berth-aws-"));
  const file = join(folder, "credentials");
  const sections = Object.entries(keys).map(
    ([name, key]) =>
      `[${name}]\naws_access_key_id = ${key.accessKeyId}\naws_secret_access_key = ${key.secretAccessKey}\n`,
  );
  await writeFile(file, sections.join(""));
  process.env.AWS_SHARED_CREDENTIALS_FILE = file;
  process.env.AWS_EC2_METADATA_DISABLED = "true";
  t.after(async () => {
    delete process.env.AWS_SHARED_CREDENTIALS_FILE;
    await rm(folder, { recursive: true, force: true });
  });
}

function documentedPolicy(bucket: string): { Statement: { Effect: string; Action: string[]; Resource: string }[] } {
  return {
    Statement: [
      {
        Effect: "Allow",
        Action: ["s3:ListBucket", "s3:ListBucketMultipartUploads"],
        Resource: `arn:aws:s3:::${bucket}`,
      },
      {
        Effect: "Allow",
        Action: [
          ...["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
          ...["s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"],
        ],
        Resource: `arn:aws:s3:::${bucket}/production/*`,
      },
    ],
  };
}

async function setPolicy(server: S3Server, bucket: string, user: string, policy: ReturnType<typeof documentedPolicy>) {
  const { endpoint, region, accessKeyId, secretAccessKey } = server;
  const client = new S3Client({
    endpoint,
    region,
    credentials: { accessKeyId, secretAccessKey },
    forcePathStyle: true,
  });
  const Statement = policy.Statement.map((statement) => ({ ...statement, Principal: user }));
  const Policy = JSON.stringify({ Version: "2012-10-17", Statement });
  await client.send(new PutBucketPolicyCommand({ Bucket: bucket, Policy }));
  client.destroy();
}
