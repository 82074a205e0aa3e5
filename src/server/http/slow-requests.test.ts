import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { type TestContext, test } from "node:test";
import { setInterval, setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { testServer } from "../../../test/setup/server.ts";
import { BODY_PACE, type BodyPace } from "./body-pace.ts";
import { defineRoute } from "./route.ts";

/** Clients that never end a request, one byte at a time: no silence is long enough to be noticed. */

const ECHO = defineRoute({
  method: "POST",
  audit: { none: "it is a test" },
  path: "/echo",
  access: { kind: "public" },
  summary: "Echoes",
  tag: "test",
  schemas: { body: z.looseObject({}), response: z.looseObject({}) },
  handler: async ({ body }) => body,
});
const PONDER = defineRoute({
  method: "POST",
  audit: { none: "it is a test" },
  path: "/ponder",
  access: { kind: "public" },
  summary: "Takes half a second",
  tag: "test",
  schemas: { response: z.object({ done: z.boolean() }) },
  handler: async () => {
    await sleep(500);
    return { done: true };
  },
});
const REQUEST = "POST /api/v1/echo HTTP/1.1\r\nhost: berth\r\ncontent-type: application/json\r\n";

async function listening(t: TestContext, bodyPace: BodyPace): Promise<number> {
  const { app } = await testServer(t, () => [ECHO, PONDER], { bodyPace });
  await app.listen({ host: "127.0.0.1", port: 0 });
  return (app.server.address() as AddressInfo).port;
}

async function client(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {}); // it is closed while it writes
  await once(socket, "connect");
  return socket;
}

/** What the server says until it closes, while a byte is sent each 50 ms. */
async function trickle(socket: Socket, byte: string): Promise<string> {
  let answer = "";
  const closed = new AbortController();
  socket.on("data", (chunk) => {
    answer += chunk.toString();
  });
  socket.once("close", () => closed.abort());
  try {
    for await (const _ of setInterval(50, null, { signal: closed.signal })) if (socket.writable) socket.write(byte);
  } catch {
    assert.ok(closed.signal.aborted);
  }
  return answer;
}

test("bodies that trickle in are refused and their connections closed, while others are served", async (t) => {
  const port = await listening(t, { graceMs: 1_000, bytesPerSecondMin: 500 });
  const sockets = await Promise.all(Array.from({ length: 50 }, () => client(port)));
  for (const socket of sockets) socket.write(`${REQUEST}content-length: 100000\r\n\r\n`);
  const answers = Promise.all(sockets.map((socket) => trickle(socket, " ")));
  const other = await fetch(`http://127.0.0.1:${port}/api/v1/echo`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: '{"said":"hello"}',
  });
  assert.deepEqual(await other.json(), { said: "hello" });
  for (const answer of await answers) assert.match(answer, /^HTTP\/1\.1 408 .*"code":"request_timeout"/s);
});

test("a body that keeps pace may take longer than the time in which nothing is expected", async (t) => {
  const port = await listening(t, { graceMs: 200, bytesPerSecondMin: 2 });
  const socket = await client(port);
  socket.write(`${REQUEST}connection: close\r\ncontent-length: 20\r\n\r\n`);
  assert.match(await trickle(socket, "1"), /^HTTP\/1\.1 400 /);
});

for (const body of [null, "{}"]) {
  test(`an answer may take its time, once the body (${body ?? "none"}) is there`, async (t) => {
    const port = await listening(t, { graceMs: 50, bytesPerSecondMin: 1_000_000 });
    const headers = body === null ? {} : { "content-type": "application/json" };
    const answer = await fetch(`http://127.0.0.1:${port}/api/v1/ponder`, { method: "POST", headers, body });
    assert.deepEqual([answer.status, await answer.json()], [200, { done: true }]);
  });
}

test("what is no request is refused in the words of the API", async (t) => {
  const port = await listening(t, BODY_PACE);
  const answers = ["hello\r\n\r\n", `GET /${"x".repeat(20_000)} HTTP/1.1\r\n\r\n`].map(async (bytes) => {
    const socket = await client(port);
    socket.write(bytes);
    return await text(socket);
  });
  const [noRequest, long] = await Promise.all(answers);
  assert.match(noRequest!, /^HTTP\/1\.1 400 Bad Request\r\n.*"code":"invalid_request".*"requestId":"req_/s);
  assert.match(long!, /^HTTP\/1\.1 431 .*"code":"headers_too_large"/s);
});
