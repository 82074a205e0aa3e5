import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, type TestContext, test } from "node:test";
import { pino } from "pino";
import type { EventsRequest } from "../protocol/agent-api.ts";
import { BerthError } from "../protocol/errors.ts";
import type { AgentEvent, AgentEventBody } from "../protocol/events.ts";
import { Journal } from "./journal.ts";
import { Outbox, type OutboxOptions } from "./outbox.ts";

const root = mkdtempSync(join(tmpdir(), "berth-outbox-"));
after(() => rmSync(root, { recursive: true }));

const expanded = (items: number): AgentEventBody => ({ type: "step.expanded", stepRun: "s", items });

function outboxOf(t: TestContext, options: Partial<OutboxOptions> = {}) {
  const folder = mkdtempSync(join(root, "run-"));
  const journal = Journal.open(folder, () => {});
  const stop = new AbortController();
  const requests: EventsRequest[] = [];
  const refused = Promise.withResolvers<BerthError>();
  const acknowledge = (request: EventsRequest) => ({ ackedSeq: request.events.at(-1)!.seq, cancel: null });
  const outbox = new Outbox({
    epoch: 1,
    mask: (text) => text,
    journal,
    lastSeq: 0,
    pending: [],
    complete: (body) => body,
    restore: async () => assert.fail("nothing is missing"),
    onCancel: () => {},
    onRefused: (error) => refused.resolve(error),
    signal: stop.signal,
    log: pino({ level: "silent" }),
    ...options,
    send: async (request, signal) => {
      requests.push(request);
      return (await options.send?.(request, signal)) ?? acknowledge(request);
    },
  });
  t.after(() => {
    stop.abort();
    journal[Symbol.dispose]();
  });
  return { outbox, requests, folder, refused: refused.promise, acknowledge };
}

test("events are numbered without gaps and sent in order, many in one request", async (t) => {
  const { outbox, requests } = outboxOf(t);
  for (let index = 1; index <= 1200; index++) outbox.report(expanded(index));
  await outbox.drained();
  const seqs = requests.flatMap(({ events }) => events.map(({ seq }) => seq));
  assert.deepEqual(
    seqs,
    Array.from({ length: 1200 }, (_, index) => index + 1),
  );
  assert.ok(requests.length <= 4, `${requests.length} requests`);
});

test("events are in the journal before they are sent, together with what caused them", async (t) => {
  const { outbox, folder } = outboxOf(t);
  outbox.record({ type: "cancel", facts: { by: "me", reason: null, code: "cancelled" } }, expanded(1), expanded(2));
  const records: unknown[] = [];
  using _again = Journal.open(folder, (record) =>
    records.push({ ...record, events: record.events?.map(({ seq }) => seq) }),
  );
  assert.deepEqual(records, [{ type: "cancel", facts: { by: "me", reason: null, code: "cancelled" }, events: [1, 2] }]);
  await outbox.drained();
});

test("what an earlier process left unacknowledged is sent first, under its old numbers", async (t) => {
  const pending: AgentEvent[] = [4, 5].map((seq) => ({ seq, at: "2026-01-01T00:00:00Z", body: expanded(seq) }));
  const { outbox, requests } = outboxOf(t, { pending, lastSeq: 5 });
  outbox.report(expanded(6));
  await outbox.drained();
  assert.deepEqual(
    requests.flatMap(({ events }) => events.map(({ seq }) => seq)),
    [4, 5, 6],
  );
});

test("when an answer was lost, the server's expectation is believed and nothing is skipped", async (t) => {
  let stored = 0;
  const { outbox, requests } = outboxOf(t, {
    send: async (request) => {
      const first = request.events[0]!.seq;
      if (first <= stored) throw new BerthError("sequence_gap", "gap", { details: { expected: stored + 1 } });
      stored = request.events.at(-1)!.seq;
      if (stored === 1) throw new BerthError("unavailable", "the answer was lost");
      return { ackedSeq: stored, cancel: null };
    },
  });
  outbox.report(expanded(1));
  await outbox.drained();
  outbox.report(expanded(2));
  await outbox.drained();
  assert.deepEqual(
    requests.map(({ events }) => events[0]!.seq),
    [1, 1, 2],
  );
});

test("blobs that the server misses are uploaded again before the same events", async (t) => {
  const restored: string[] = [];
  let tries = 0;
  const { outbox, requests } = outboxOf(t, {
    send: async (request) => {
      if (tries++ === 0) throw new BerthError("missing_blobs", "missing", { details: { missing: ["abc"] } });
      return { ackedSeq: request.events.at(-1)!.seq, cancel: null };
    },
    restore: async (digests) => void restored.push(...digests),
  });
  outbox.report(expanded(1));
  await outbox.drained();
  assert.deepEqual(restored, ["abc"]);
  assert.equal(requests.length, 2);
});

test("a stale epoch is a refusal: nothing more is sent", async (t) => {
  const { outbox, requests, refused } = outboxOf(t, {
    send: async () => {
      throw new BerthError("stale_epoch", "over");
    },
  });
  outbox.report(expanded(1));
  assert.equal((await refused).code, "stale_epoch");
  outbox.report(expanded(2));
  assert.equal(requests.length, 1);
});
