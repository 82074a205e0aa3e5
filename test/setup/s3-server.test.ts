import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { startS3Server } from "./s3-server.ts";

test("the S3 server keeps objects as files, refuses bytes that are not those announced, and leaves nothing behind", async () => {
  const server = await startS3Server();
  const { endpoint, region, accessKeyId, secretAccessKey } = server;
  const client = new S3Client({
    endpoint,
    region,
    credentials: { accessKeyId, secretAccessKey },
    forcePathStyle: true,
  });
  const Bucket = await server.makeBucket();
  await client.send(new PutObjectCommand({ Bucket, Key: "a/b", Body: "hello" }));
  assert.ok(existsSync(join(server.folder, Bucket, "a/b")));
  const read = await client.send(new GetObjectCommand({ Bucket, Key: "a/b", Range: "bytes=1-3" }));
  assert.equal(await read.Body?.transformToString(), "ell");
  const other = { ContentMD5: Buffer.alloc(16).toString("base64") };
  await assert.rejects(
    client.send(new PutObjectCommand({ Bucket, Key: "c", Body: "hello", ...other })),
    /did not match/,
  );
  client.destroy();
  await server[Symbol.asyncDispose]();
  assert.equal(existsSync(server.folder), false);
  assert.throws(() => process.kill(server.pid, 0), /ESRCH/);
});
