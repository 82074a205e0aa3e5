import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, type TestContext, test } from "node:test";
import { pino } from "pino";
import { testDatabase } from "../../../test/setup/database.ts";
import { type KmsServer, startKmsServer } from "../../../test/setup/kms-server.ts";
import { readServerConfig } from "../config.ts";
import { startServer } from "../server.ts";
import { awsKmsRing } from "./aws-kms-ring.ts";
import { ringOfText } from "./open-key-ring.ts";

let kms: KmsServer;
before(async () => {
  kms = await startKmsServer();
  Object.assign(process.env, kms.env);
});
after(async () => {
  for (const name of Object.keys(kms.env)) delete process.env[name];
  await kms[Symbol.asyncDispose]();
});

test("what a key of the service wrapped opens at its own place alone, by that key alone, and only as it was", async () => {
  const [ring, other] = [awsKmsRing(await kms.makeKey(), "a test"), awsKmsRing(await kms.makeKey(), "a test")];
  await ring.check();
  const sealed = await ring.seal("projects/a/key/1", "hunter2");
  assert.equal((await ring.open("projects/a/key/1", sealed)).toString(), "hunter2");
  assert.ok(!sealed.includes("hunter2"));
  assert.ok(ring.has(ring.newest!) && !other.has(ring.newest!));
  const unreadable = { code: "secret_unreadable" };
  await assert.rejects(ring.open("projects/b/key/1", sealed), unreadable);
  await assert.rejects(other.open("projects/a/key/1", sealed), unreadable);
  const changed = Buffer.from(sealed);
  changed[changed.length - 1]! ^= 1;
  await assert.rejects(ring.open("projects/a/key/1", changed), unreadable);
});

test("a key that is disabled or not there, and a service that is away, say so with the way out", async () => {
  const arn = await kms.makeKey();
  const ring = awsKmsRing(arn, "a test");
  const sealed = await ring.seal("place", "text");
  await kms.setEnabled(arn, false);
  await assert.rejects(ring.open("place", sealed), { code: "unavailable", advice: /Enable the key again/ });
  await kms.setEnabled(arn, true);
  const missing = awsKmsRing(arn.replace(/key\/.*/, "key/00000000-0000-4000-8000-000000000000"), "a test");
  await assert.rejects(missing.check(), { code: "unavailable", advice: /check the ARN/ });
  await kms.goAway();
  await assert.rejects(ring.check(), { code: "unavailable", message: /cannot be used/, advice: /reaches AWS KMS/ });
  await kms.comeBack();
  assert.equal((await ring.open("place", sealed)).toString(), "text");
});

test("secrets move from a key file to the service and back; a server without it does not start, and loses nothing", async (t) => {
  const platform = await serverOn(t);
  const [local, arn] = [randomBytes(32).toString("base64"), await kms.makeKey()];
  await platform.withKeys(local, async (call) => {
    await call("POST", "/secrets", { name: "TOKEN", value: "dmFsdWU=" });
  });
  await platform.withKeys(`${local} aws-kms:${arn}`, async (call) => {
    const done = await call("POST", "/secrets/rekey");
    assert.deepEqual([done.key, done.values, done.projectsLeft], [ringOfText(`aws-kms:${arn}`, "x").newest, 1, 0]);
  });
  await assert.rejects(
    platform.withKeys(local, async () => {}),
    { code: "conflict", message: /keys do not open/ },
  );
  await kms.goAway();
  await assert.rejects(
    platform.withKeys(`aws-kms:${arn}`, async () => {}),
    { code: "unavailable" },
  );
  await kms.comeBack();
  await platform.withKeys(`aws-kms:${arn}`, async (call) => {
    await call("POST", "/secrets/TOKEN/rotate", { value: "bmV3" });
  });
  await platform.withKeys(`aws-kms:${arn} ${local}`, async (call) => {
    assert.equal((await call("POST", "/secrets/rekey")).values, 1);
  });
  await platform.withKeys(local, async (call) => {
    assert.equal((await call("GET", "/secrets")).items[0].name, "TOKEN");
  });
});

// biome-ignore lint/suspicious/noExplicitAny: answers of several routes, of which the test looks at some fields.
type Call = (method: string, path: string, body?: unknown) => Promise<any>;

/** Real servers, one after the other on one database, each with other keys. */
async function serverOn(t: TestContext) {
  const home = mkdtempSync(join(tmpdir(), "berth-kms-"));
  t.after(() => rmSync(home, { recursive: true }));
  const { url: DATABASE_URL } = await testDatabase(t);
  const withKeys = async (BERTH_SECRET_KEYS: string, work: (call: Call) => Promise<void>) => {
    const env = { BERTH_HOME: home, BERTH_LISTEN: "127.0.0.1:0", DATABASE_URL, BERTH_SECRET_KEYS };
    const server = await startServer(readServerConfig(env), { version: "1", log: pino({ level: "silent" }) });
    try {
      const token = readFileSync(join(home, "admin-token"), "utf8").trim();
      const call: Call = async (method, path, body) => {
        const answer = await fetch(`${server.url}/api/v1${path}`, {
          method,
          headers: {
            authorization: `Bearer ${token}`,
            ...(body === undefined ? {} : { "content-type": "application/json" }),
          },
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        });
        assert.ok(answer.ok, `${method} ${path}: ${answer.status}`);
        return answer.json();
      };
      await work(call);
    } finally {
      await server.close();
    }
  };
  return { withKeys };
}
