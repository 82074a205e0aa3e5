import assert from "node:assert/strict";
import { test } from "node:test";
import { chainEvents, runServer, submit, takeRun } from "../../../test/setup/run-fixture.ts";
import { testToken, testWorker } from "../../../test/setup/server.ts";
import { parseByteRange } from "./byte-range.ts";

test("an artifact is downloaded whole or in part, never shown, and is not sent again when it is known", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  await submit(server);
  await (await takeRun(worker)).report(...chainEvents("0123456789"));
  const get = async (headers: Record<string, string> = {}) =>
    server.call("viewer", { url: "/artifacts/chain/make/text/latest/content", headers });
  const whole = await get();
  assert.equal(whole.body, "0123456789");
  assert.equal(whole.headers["content-length"], "10");
  assert.match(String(whole.headers["content-type"]), /^text\/plain/);
  assert.equal(whole.headers["x-content-type-options"], "nosniff");
  assert.match(String(whole.headers["content-disposition"]), /^attachment; filename="text"/);
  const part = await get({ range: "bytes=2-4" });
  assert.deepEqual([part.statusCode, part.body, part.headers["content-range"]], [206, "234", "bytes 2-4/10"]);
  assert.equal((await get({ range: "bytes=-3" })).body, "789");
  assert.equal((await get({ range: "bytes=10-" })).statusCode, 416);
  assert.equal((await get({ range: "bytes=2-4", "if-range": '"other"' })).body, "0123456789");
  const known = await get({ "if-none-match": String(whole.headers.etag) });
  assert.deepEqual([known.statusCode, known.body], [304, ""]);

  await server.services.database.pool.query("INSERT INTO projects (id, name) VALUES ('prj_other', 'other')");
  const authorization = `Bearer ${await testToken(server.services, "admin", "prj_other")}`;
  assert.equal((await get({ authorization })).statusCode, 404);
});

test("a range is read as RFC 9110 says, and ignored where it may be", () => {
  assert.deepEqual(parseByteRange("bytes=0-0", 10), { start: 0, end: 0 });
  assert.deepEqual(parseByteRange("bytes=5-99", 10), { start: 5, end: 9 });
  assert.deepEqual(parseByteRange("bytes=-99", 10), { start: 0, end: 9 });
  for (const ignored of [undefined, "", "bytes=-", "bytes=3-2", "bytes=0-1,4-5", "items=0-1", "bytes=a-b"]) {
    assert.equal(parseByteRange(ignored, 10), null, String(ignored));
  }
  for (const beyond of ["bytes=10-", "bytes=10-12", "bytes=-0"]) {
    assert.throws(() => parseByteRange(beyond, 10), { code: "range_not_satisfiable" }, beyond);
  }
  assert.throws(() => parseByteRange("bytes=0-", 0), { code: "range_not_satisfiable" });
});
