import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { chainEvents, runServer, submit, takeRun } from "../../../test/setup/run-fixture.ts";
import { type TestServer, testToken, testWorker } from "../../../test/setup/server.ts";
import type { RunEvent } from "../../protocol/events.ts";

/** A server that listens, for answers that go on. */
async function listen(t: TestContext, server: TestServer) {
  const address = await server.app.listen({ host: "127.0.0.1", port: 0 });
  const authorization = `Bearer ${await testToken(server.services, "viewer", server.project)}`;
  return async (path: string, headers: Record<string, string> = {}) => {
    const stop = new AbortController();
    t.after(() => stop.abort());
    const answer = await fetch(`${address}/api/v1${path}`, {
      headers: { authorization, ...headers },
      signal: stop.signal,
    });
    return { answer, stop };
  };
}

async function* messages(answer: Response): AsyncGenerator<{ id: number; event: RunEvent }> {
  let text = "";
  for await (const chunk of answer.body!.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      const lines = text.slice(0, end).split("\n");
      text = text.slice(end + 2);
      const field = (name: string) => lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      if (field("id") !== undefined) yield { id: Number(field("id")), event: JSON.parse(field("data")!) };
    }
  }
}

const SSE = { accept: "text/event-stream" };

test("a stream that breaks off goes on after the last event seen, without loss or repetition, and ends with the run", async (t) => {
  const server = await runServer(t);
  const replica = await runServer(t, { url: server.services.database.url });
  const worker = await testWorker(server);
  const get = await listen(t, server);
  const getReplica = await listen(t, replica);
  const { id } = await submit(server);
  const seen: number[] = [];

  const first = await get(`/runs/${id}/events`, SSE);
  assert.match(first.answer.headers.get("content-type") ?? "", /text\/event-stream/);
  const run = await takeRun(worker);
  const all = chainEvents();
  await run.report(...all.slice(0, 2));
  for await (const { id: seq } of messages(first.answer)) {
    seen.push(seq);
    if (seq === 3) break; // In the middle: event 4 exists already.
  }
  first.stop.abort();

  const second = await getReplica(`/runs/${id}/events`, { ...SSE, "last-event-id": String(seen.at(-1)) });
  const rest = (async () => {
    for await (const { id: seq, event } of messages(second.answer)) {
      assert.equal(event.seq, seq);
      seen.push(seq);
    }
  })();
  for (const event of all.slice(2)) assert.equal((await run.report(event)).statusCode, 200);
  await rest;
  assert.deepEqual(seen, [1, 2, 3, 4, 5, 6, 7, 8]);

  const bad = await get(`/runs/${id}/events`, { ...SSE, "last-event-id": "eight" });
  assert.equal(bad.answer.status, 400);
  const after = await get(`/runs/${id}/events`, { ...SSE, "last-event-id": "8" });
  assert.deepEqual(await Array.fromAsync(messages(after.answer)), []);
});

test("events are paged as JSON, and the last page says that the run has ended", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const { id } = await submit(server);
  const run = await takeRun(worker);
  const page = async (query: string) => (await server.call("viewer", { url: `/runs/${id}/events${query}` })).json();
  assert.equal((await page("")).ended, false);
  await run.report(...chainEvents());
  const first = await page("?limit=5");
  assert.deepEqual([first.items.length, first.last, first.ended], [5, 5, false]);
  const second = await page(`?after=${first.last}&limit=5`);
  assert.deepEqual([second.items.length, second.last, second.ended], [3, 8, true]);
});

test("following logs shows bytes as they come and ends with the run, or with the step that is followed", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const get = await listen(t, server);
  const { id } = await submit(server);
  const run = await takeRun(worker);
  const out = { stepRun: "make", attempt: 1, stream: "stdout" } as const;
  await run.logs({ ...out, offset: 0, text: "one\n" });
  const whole = await get(`/runs/${id}/logs?follow=true`);
  const step = await get(`/runs/${id}/logs?follow=true&step=make&tail=0`);
  const reader = whole.answer.body!.pipeThrough(new TextDecoderStream()).getReader();
  assert.equal((await reader.read()).value, "one\n");
  await run.logs({ ...out, offset: 4, text: "two\n" });
  assert.equal((await reader.read()).value, "two\n");
  const all = chainEvents();
  await run.report(...all.slice(0, 3));
  assert.equal(await step.answer.text(), "two\n");
  await run.logs({ ...out, stepRun: "use", offset: 0, text: "three\n" });
  assert.equal((await reader.read()).value, "three\n");
  await run.report(...all.slice(3));
  assert.equal((await reader.read()).done, true);
});
