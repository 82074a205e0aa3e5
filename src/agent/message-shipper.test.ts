import assert from "node:assert/strict";
import { appendFileSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { pino } from "pino";
import { BerthError } from "../protocol/errors.ts";
import { MESSAGES_PER_REQUEST, MessagesRequest } from "../protocol/messages.ts";
import { METRICS_MAX } from "../protocol/step-message.ts";
import { MessageShipper } from "./message-shipper.ts";
import { until } from "./testing/until.ts";

/** Attempts that write messages, and a server that keeps what it is sent. */
function setUp(t: TestContext) {
  const stop = new AbortController();
  const folder = mkdtempSync(join(tmpdir(), "berth-messages-"));
  t.after(() => {
    stop.abort();
    rmSync(folder, { recursive: true, force: true });
  });
  const requests: MessagesRequest[] = [];
  const server = { fail: (): BerthError | null => null };
  const open = () =>
    new MessageShipper({
      epoch: 3,
      mask: (text) => text,
      send: async (request) => {
        const failure = server.fail();
        if (failure !== null) throw failure;
        requests.push(MessagesRequest.parse(structuredClone(request)));
      },
      signal: stop.signal,
      log: pino({ level: "silent" }),
    });
  const attempt = (stepRun: string) => {
    const own = join(folder, stepRun);
    mkdirSync(own, { recursive: true });
    const file = join(own, "messages.jsonl");
    return {
      name: { stepRun, attempt: 1 },
      folder: own,
      write: (text: string) => appendFileSync(file, text),
      says: (...messages: readonly object[]) =>
        appendFileSync(file, messages.map((message) => `${JSON.stringify(message)}\n`).join("")),
    };
  };
  const metrics = () => requests.flatMap((request) => request.metrics);
  return { shipper: open(), open, requests, metrics, server, attempt, stop };
}

const metric = (value: number) => ({ type: "metric", name: "loss", value, step: value * 10 });
const progress = (done: number) => ({ type: "progress", done, total: 100_000 });

test("a hundred thousand lines of progress are one report with the last of them", async (t) => {
  const { shipper, requests, attempt } = setUp(t);
  const step = attempt("train");
  step.says(...Array.from({ length: 100_000 }, (_, done) => progress(done + 1)));
  shipper.follow(step.name, step.folder);
  await shipper.end(step.name);
  const reports = requests.flatMap((request) => request.progress);
  // Read two megabytes at a time, each of which is a beat of its own.
  assert.ok(reports.length <= 4, `${reports.length} reports`);
  assert.equal(reports.at(-1)!.done, 100_000);
  assert.ok(reports.every(({ position }, index) => index === 0 || position > reports[index - 1]!.position));
});

test("progress that goes on is reported about once per second, whatever the step does", {
  timeout: 20_000,
}, async (t) => {
  const { shipper, requests, attempt } = setUp(t);
  const step = attempt("train");
  shipper.follow(step.name, step.folder);
  const startedAtMs = performance.now();
  let done = 0;
  const timer = setInterval(() => step.says(progress(++done)), 5);
  await until("it was reported three times", () => requests.length >= 3);
  clearInterval(timer);
  const seconds = (performance.now() - startedAtMs) / 1_000;
  await shipper.end(step.name);
  assert.ok(requests.length <= seconds + 3, `${requests.length} requests in ${seconds} s`);
  assert.equal(requests.at(-1)!.progress[0]!.done, done);
});

test("metrics arrive once each and in order, in requests of bounded size, and no more than are kept", async (t) => {
  const { shipper, requests, metrics, attempt } = setUp(t);
  const step = attempt("train");
  step.says(...Array.from({ length: METRICS_MAX + 500 }, (_, value) => metric(value)));
  shipper.follow(step.name, step.folder);
  await shipper.end(step.name);
  assert.deepEqual(
    metrics().map(({ n, value, step: at }) => [n, value, at]),
    Array.from({ length: METRICS_MAX }, (_, n) => [n, n, n * 10]),
  );
  assert.ok(requests.every((request) => request.metrics.length <= MESSAGES_PER_REQUEST));
});

test("while the server is away nothing more is read, and then nothing is missing", { timeout: 20_000 }, async (t) => {
  const { shipper, requests, metrics, server, attempt } = setUp(t);
  const step = attempt("train");
  let tries = 0;
  server.fail = () => (++tries < 4 ? new BerthError("unavailable", "away") : null);
  shipper.follow(step.name, step.folder);
  for (let value = 0; value < 2_500; value++) step.says(metric(value), progress(value));
  await shipper.end(step.name);
  assert.deepEqual(
    metrics().map(({ value }) => value),
    Array.from({ length: 2_500 }, (_, value) => value),
  );
  assert.equal(requests.at(-1)!.epoch, 3);
});

test("lines that are none are left out, and count for nothing", async (t) => {
  const { shipper, metrics, requests, attempt } = setUp(t);
  const step = attempt("train");
  step.says(metric(1));
  step.write(`not JSON\n{"type":"metric","name":"loss","value":NaN}\n${"x".repeat(200_000)}\n\u0000\n`);
  step.says(metric(2), { type: "metric", name: "loss", value: "3" }, { type: "output", name: "model" });
  step.write('{"type":"metric","name":"loss","value":4}');
  shipper.follow(step.name, step.folder);
  await shipper.end(step.name);
  assert.deepEqual(
    metrics().map(({ n, value }) => [n, value]),
    [
      [0, 1],
      [1, 2],
      [2, 4],
    ],
  );
  assert.deepEqual(requests[0]!.progress, []);
});

test("an attempt that says nothing costs no request, and is not waited for", async (t) => {
  const { shipper, requests, attempt } = setUp(t);
  const silent = Array.from({ length: 200 }, (_, index) => attempt(`step-${index}`));
  for (const { name, folder } of silent) shipper.follow(name, folder);
  await Promise.all(silent.map(({ name }) => shipper.end(name)));
  await shipper.drained();
  assert.deepEqual(requests, []);
});

test("attempts that end together are reported together", async (t) => {
  const { shipper, requests, attempt } = setUp(t);
  const steps = Array.from({ length: 300 }, (_, index) => attempt(`step-${index}`));
  for (const step of steps) {
    step.says(progress(1), metric(1));
    shipper.follow(step.name, step.folder);
  }
  await Promise.all(steps.map(({ name }) => shipper.end(name)));
  assert.equal(requests.flatMap((request) => request.metrics).length, 300);
  assert.ok(requests.length <= 3, `${requests.length} requests`);
});

test("a server that refuses is not asked again, and holds nothing up", async (t) => {
  const { shipper, server, attempt } = setUp(t);
  let tries = 0;
  server.fail = () => {
    tries += 1;
    return new BerthError("not_found", "no such route");
  };
  const [step, later] = [attempt("train"), attempt("later")];
  step.says(metric(1));
  later.says(metric(1));
  shipper.follow(step.name, step.folder);
  await shipper.end(step.name);
  shipper.follow(later.name, later.folder);
  await shipper.end(later.name);
  await shipper.drained();
  assert.equal(tries, 1);
});

test("whoever waits when shipping stops is told so, since the rest is for the next process to ship", async (t) => {
  const { shipper, server, attempt, stop } = setUp(t);
  const step = attempt("train");
  step.says(metric(1));
  server.fail = () => new BerthError("unavailable", "away");
  shipper.follow(step.name, step.folder);
  const ended = shipper.end(step.name);
  stop.abort(new Error("the agent stops"));
  await assert.rejects(ended, /not shipped any more/);
});
