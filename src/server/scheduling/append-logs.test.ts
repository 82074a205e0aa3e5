import assert from "node:assert/strict";
import { test } from "node:test";
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import {
  chainEvents,
  errorOf,
  lockIsAwaited,
  logBody,
  reboot,
  runServer,
  started,
  submit,
  takeRun,
} from "../../../test/setup/run-fixture.ts";
import { type TestServer, testWorker } from "../../../test/setup/server.ts";
import { LOGS_CONTENT_TYPE } from "../../protocol/agent-api.ts";
import type { LogLine } from "../../protocol/resources.ts";
import { lockLogs } from "../store/logs.ts";

const OUT = { stepRun: "make", attempt: 1, stream: "stdout" } as const;

async function read(server: TestServer, run: string, query = ""): Promise<string> {
  const answer = await server.call("viewer", { url: `/runs/${run}/logs${query}` });
  assert.equal(answer.statusCode, 200, answer.body);
  return answer.body;
}

test("bytes sent again are skipped, overlapping ones are joined, a hole is refused and stores nothing", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const { id } = await submit(server);
  const run = await takeRun(worker);
  assert.deepEqual((await run.logs({ ...OUT, offset: 0, text: "one\n" })).json(), { accepted: 4 });
  assert.deepEqual((await run.logs({ ...OUT, offset: 0, text: "one\n" })).json(), { accepted: 0 });
  assert.deepEqual((await run.logs({ ...OUT, offset: 2, text: "e\ntwo\n" })).json(), { accepted: 4 });
  const hole = await run.logs(
    { ...OUT, stream: "stderr", offset: 0, text: "not stored" },
    { ...OUT, offset: 9, text: "x" },
  );
  assert.equal(hole.statusCode, 409);
  assert.equal(errorOf(hole).code, "sequence_gap");
  assert.deepEqual(errorOf(hole).details, { ...OUT, expected: 8 });
  assert.equal(await read(server, id), "one\ntwo\n");
});

test("the same bytes sent many times at once are stored once", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const { id } = await submit(server);
  const run = await takeRun(worker);
  const text = Array.from({ length: 2000 }, (_, index) => `line ${index}\n`).join("");
  const pieces = [0, 0, 0, 0, 3000, 3000, 5000, 0].map((offset) => ({
    ...OUT,
    offset: 0,
    text: text.slice(0, offset || undefined),
  }));
  const answers = await Promise.all(pieces.map((piece) => run.logs(piece)));
  const accepted = answers.reduce((sum, answer) => sum + answer.json().accepted, 0);
  assert.equal(accepted, text.length);
  assert.equal(await read(server, id), text);
  const { rows } = await server.services.database.pool.query(
    "SELECT data, end_offset - start_offset AS size FROM log_chunks",
  );
  for (const { data, size } of rows) assert.equal(zstdDecompressSync(data).length, size);
});

test("appends to one run's logs wait for each other, so that no reader passes one by that is not committed yet", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const { id } = await submit(server);
  const run = await takeRun(worker);
  const passedBy = new AbortController();
  const appending = await server.services.database.transaction(async (client) => {
    await lockLogs(client, id);
    const answer = run.logs({ ...OUT, offset: 0, text: "second" }).finally(() => passedBy.abort());
    await lockIsAwaited(server, passedBy.signal);
    return { answer };
  });
  assert.deepEqual((await appending.answer).json(), { accepted: 6 });
});

test("logs are read in order of arrival, by step, attempt and stream, from an offset, or from so many lines before the end", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const { id } = await submit(server);
  const run = await takeRun(worker);
  await run.logs({ ...OUT, offset: 0, text: "a1\na2\n" }, { ...OUT, stream: "stderr", offset: 0, text: "b1\n" });
  await run.logs({ ...OUT, stepRun: "use", offset: 0, text: "c1\nc" }, { ...OUT, offset: 6, text: "a3\n" });
  await run.logs({ ...OUT, stepRun: "use", offset: 4, text: "2\nc3\n" });
  assert.equal(await read(server, id), "a1\na2\nb1\nc1\nca3\n2\nc3\n");
  assert.equal(await read(server, id, "?step=make"), "a1\na2\nb1\na3\n");
  assert.equal(await read(server, id, "?step=make&stream=stderr"), "b1\n");
  assert.equal(await read(server, id, "?step=use&attempt=2"), "");
  assert.equal(await read(server, id, "?step=make&attempt=1&stream=stdout&offset=4"), "2\na3\n");
  assert.equal(await read(server, id, "?step=make&attempt=1&stream=stdout&offset=100"), "");
  const tails = ["", "c3\n", "c2\nc3\n", "c1\nc2\nc3\n", "c1\nc2\nc3\n"];
  for (const [lines, expected] of tails.entries()) {
    assert.equal(await read(server, id, `?step=use&tail=${lines}`), expected, `tail=${lines}`);
  }
  const answer = await server.call("viewer", {
    url: `/runs/${id}/logs?step=use&tail=2`,
    headers: { accept: "application/x-ndjson" },
  });
  const lines = answer.body
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as LogLine);
  assert.deepEqual(
    lines.map(({ stepRun, stream, offset, data }) => [stepRun, stream, offset, Buffer.from(data, "base64").toString()]),
    [
      ["use", "stdout", 3, "c"],
      ["use", "stdout", 4, "2\nc3\n"],
    ],
  );
  assert.equal((await server.call("viewer", { url: `/runs/${id}/logs?offset=3` })).statusCode, 400);
  assert.equal((await server.call("viewer", { url: `/runs/${id}/logs?step=nope` })).statusCode, 404);
});

test("late logs are taken for ten minutes after the end of a run, and no longer", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const { id } = await submit(server);
  const run = await takeRun(worker);
  await run.report(...chainEvents());
  assert.equal((await run.logs({ ...OUT, offset: 0, text: "late\n" })).statusCode, 200);
  await server.services.database.pool.query("UPDATE runs SET finished_at = now() - interval '9 minutes'");
  assert.equal((await run.logs({ ...OUT, offset: 5, text: "later\n" })).statusCode, 200);
  await server.services.database.pool.query("UPDATE runs SET finished_at = now() - interval '11 minutes'");
  assert.equal(errorOf(await run.logs({ ...OUT, offset: 11, text: "too late\n" })).code, "stale_epoch");
  assert.equal(await read(server, id), "late\nlater\n");
});

test("the same attempt number under another epoch is another stream: neither's bytes are taken for the other's", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const { id } = await submit(server);
  const first = await takeRun(worker);
  await first.logs({ ...OUT, offset: 0, text: "first try\n" });
  const next = await reboot(server, worker, []);
  const second = await takeRun(next.worker);
  await second.report(started("make"));
  assert.deepEqual((await second.logs({ ...OUT, offset: 0, text: "second\n" })).json(), { accepted: 7 });
  assert.equal(await read(server, id), "first try\nsecond\n");
  assert.equal(await read(server, id, "?step=make&attempt=1&stream=stdout&offset=0"), "second\n");
});

test("bodies that are no logs, or that unpack to more than they may, are refused", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const { id } = await submit(server);
  await takeRun(worker);
  const send = async (body: Buffer) =>
    worker.call("POST", `/agent/runs/${id}/logs`, body, { contentType: LOGS_CONTENT_TYPE });
  const bomb = zstdCompressSync(Buffer.alloc(200 * 1024 * 1024));
  assert.ok(bomb.length < 100_000);
  assert.equal((await send(bomb)).statusCode, 413);
  assert.equal(errorOf(await send(Buffer.from("plain"))).code, "invalid_body");
  assert.equal(errorOf(await send(zstdCompressSync(Buffer.from("{}\n")))).code, "invalid_body");
  const cut = zstdDecompressSync(await logBody(1, [{ ...OUT, offset: 0, text: "four" }])).subarray(0, -1);
  assert.match(errorOf(await send(zstdCompressSync(cut))).message, /3 bytes, not 4/);
  assert.equal((await worker.call("POST", `/agent/runs/${id}/logs`, {})).statusCode, 415);
  assert.equal(await read(server, id), "");
});

test("logs are told line by line, structured ones taken apart, from a level on and with their places", async (t) => {
  const server = await runServer(t);
  const { id } = await submit(server);
  const run = await takeRun(await testWorker(server));
  const record = (level: string) =>
    `\u001e{"level":"${level}","message":"m","fields":{"n":1},"at":"2026-01-01T00:00:00Z"}\n`;
  const text = `plain ä\n${record("info")}${record("fatal")}\u001ebroken\nno end`;
  const half = Buffer.byteLength(text) >> 1;
  const bytes = Buffer.from(text);
  await run.logs({ ...OUT, offset: 0, text: bytes.subarray(0, half).toString() });
  await run.logs({ ...OUT, offset: half, text: bytes.subarray(half).toString() });
  const lines = (await read(server, id, "?lines=true"))
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  assert.deepEqual(
    lines.map(({ offset, level, message, fields }) => [offset, level, message, fields]),
    [
      [0, null, "plain ä", null],
      [9, "info", "m", { n: 1 }],
      [9 + record("info").length, "error", "m", { n: 1 }],
      [9 + record("info").length + record("fatal").length, null, "\u001ebroken", null],
      [text.length + 1 - "no end".length, null, "no end", null],
    ],
  );
  assert.equal(lines[1].at, "2026-01-01T00:00:00Z");
  const severe = (await read(server, id, "?lines=true&level=warn&step=make")).trimEnd().split("\n");
  assert.deepEqual(
    severe.map((line) => JSON.parse(line).level),
    ["error"],
  );
  const refused = await server.call("viewer", { url: `/runs/${id}/logs?level=warn` });
  assert.equal(errorOf(refused).code, "invalid_request");
});
