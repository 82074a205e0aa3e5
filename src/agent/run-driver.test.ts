import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { MemoryBackend } from "../backends/memory/memory-backend.ts";
import { ends, exits, hangs, ignoresTerm, type Script, waitsThen } from "../backends/memory/script.ts";
import { processBackend } from "../backends/process/process-backend.ts";
import { BerthError } from "../protocol/errors.ts";
import { fault } from "../protocol/faults.ts";
import { NO_FAULTS } from "./next-attempt.ts";
import { listAttemptParts, listRunFolders } from "./run-folder.ts";
import { AgentFixture, assignmentOf } from "./testing/agent-fixture.ts";
import type { FakeRun } from "./testing/fake-run.ts";
import { until } from "./testing/until.ts";

const CHAIN = `
name: chain
environment: { image: any }
steps:
  a: { run: "true", outputs: { x: { path: x } } }
  b: { run: "true", inputs: { x: a.x }, outputs: { y: { path: y } } }
  c: { run: "true", inputs: { y: b.y, x: a.x } }
`;

/** Copies what it finds under `in/<name>` to its log. */
function printsInput(name: string): Script {
  return (step) => {
    step.print(readFileSync(join(step.spec.folder, "in", name)));
    return { exit: 0 };
  };
}

/** Everything that must hold once a run is over: no broken rule, nothing left on the worker. */
async function assertTidy(fixture: AgentFixture, backend: MemoryBackend): Promise<void> {
  assert.deepEqual(fixture.server.violations, []);
  backend.assertNoMisuse();
  await until("the worker is empty", () => backend.attempts.size === 0 && foldersLeft(fixture).length === 0);
  assert.equal(backend.scopes.size, 0);
}

function foldersLeft({ home }: AgentFixture): string[] {
  return [...listRunFolders(home), ...listAttemptParts(home).map(({ folder }) => folder)];
}

function finalStates(run: FakeRun): Record<string, string> {
  const states: Record<string, string> = {};
  for (const event of run.events) {
    if (event.type === "attempt.finished" && event.stepState !== null) states[event.stepRun] = event.stepState;
    if (event.type === "step.finished") states[event.stepRun] = event.state;
  }
  return states;
}

test("a chain hands its outputs on without a transfer through the server, and leaves nothing behind", async () => {
  await using fixture = await AgentFixture.open();
  const backend = new MemoryBackend();
  backend.script("a", exits(0, { stdout: "from a\n", outputs: { x: "X".repeat(100_000) } }));
  backend.script("b", exits(0, { outputs: { y: "why" } }));
  backend.script("c", printsInput("y"));
  await fixture.start(backend);
  const run = fixture.server.submit(assignmentOf(CHAIN));
  assert.equal(await run.finished.promise, "succeeded");
  assert.equal(run.log("a"), "from a\n");
  assert.equal(run.log("c"), "why");
  assert.deepEqual(
    run.ends("c")[0]?.inputs.map(({ name, stepRun }) => [name, stepRun]),
    [
      ["y", "b"],
      ["x", "a"],
    ],
  );
  assert.equal(fixture.server.requests.filter((request) => request.startsWith("GET")).length, 0);
  await assertTidy(fixture, backend);
});

test("a fan-out of a hundred combinations is gathered in their order", async () => {
  await using fixture = await AgentFixture.open();
  const backend = new MemoryBackend({ fallback: exits(0) });
  const numbers = Array.from({ length: 100 }, (_, index) => index);
  for (const n of numbers)
    backend.script(`part[n=${n}]`, exits(0, { stdout: `${n}\n`, outputs: { o: `part ${n}\n` } }));
  backend.script("all", printsInput("parts"));
  await fixture.start(backend, { settings: { stepsAtOnce: 8 } });
  const run = fixture.server.submit(
    assignmentOf(`
name: fan
environment: { image: any }
steps:
  part: { matrix: { n: [${numbers.join(", ")}] }, run: "true", outputs: { o: { path: o } } }
  all: { run: "true", inputs: { parts: { from: part.o, gather: lines } } }
`),
  );
  assert.equal(await run.finished.promise, "succeeded");
  assert.equal(run.log("all"), numbers.map((n) => `part ${n}\n`).join(""));
  assert.equal(run.log("part[n=57]"), "57\n");
  await assertTidy(fixture, backend);
});

test("a batch is split into items that each get their part, and its end follows from theirs", async () => {
  await using fixture = await AgentFixture.open();
  const backend = new MemoryBackend();
  backend.script("rows", exits(0, { outputs: { "rows.txt": "1\n2\n3\n4\n5\n" } }));
  for (const item of [0, 1, 2]) {
    backend.script(`work[${item}]`, (step) => {
      const lines = readFileSync(join(step.spec.folder, "in/batch"), "utf8");
      step.write("sum", lines.replaceAll("\n", "+\n"));
      return { exit: 0 };
    });
  }
  backend.script("all", printsInput("sums"));
  await fixture.start(backend);
  const run = fixture.server.submit(
    assignmentOf(`
name: batch
environment: { image: any }
steps:
  rows: { run: "true", outputs: { rows: { path: rows.txt } } }
  work: { batch: { over: rows.rows, size: 2, parallel: 2 }, run: "true", outputs: { sum: { path: sum } } }
  all: { run: "true", inputs: { sums: { from: work.sum, gather: lines } } }
`),
  );
  assert.equal(await run.finished.promise, "succeeded");
  assert.ok(run.events.some((event) => event.type === "step.expanded" && event.items === 3));
  assert.equal(run.log("all"), "1+\n2+\n3+\n4+\n5+\n");
  assert.equal(finalStates(run).work, "succeeded");
  await assertTidy(fixture, backend);
});

test("after a failure what runs finishes, what needs it is skipped, and the run says why", async () => {
  await using fixture = await AgentFixture.open();
  const backend = new MemoryBackend();
  backend.script("bad", exits(3));
  backend.script("slow", exits(0, { afterMs: 200 }));
  await fixture.start(backend, { settings: { stepsAtOnce: 4 } });
  const run = fixture.server.submit(
    assignmentOf(`
name: failing
retry: 0
environment: { image: any }
steps:
  bad: { run: "false" }
  slow: { run: "true" }
  next: { run: "true", needs: [bad] }
  last: { run: "true", needs: [next] }
`),
  );
  assert.equal(await run.finished.promise, "failed");
  assert.deepEqual(finalStates(run), { bad: "failed", slow: "succeeded", next: "skipped", last: "skipped" });
  const end = run.events.at(-1);
  assert.ok(
    end?.type === "run.finished" && end.fault?.code === "exit-nonzero" && end.fault.message.startsWith("bad: "),
  );
  await assertTidy(fixture, backend);
});

test("an attempt that left no evidence is tried again, and with its budget used up the step run fails", async () => {
  await using fixture = await AgentFixture.open();
  const backend = new MemoryBackend();
  backend.script("a", ends({ vanished: true }), exits(0, { outputs: { x: "x" } }));
  backend.script("b", ends({ vanished: true }));
  await fixture.start(backend);
  const run = fixture.server.submit(assignmentOf(`${CHAIN}retry: { max: 0, infrastructure: 2 }\n`));
  assert.equal(await run.finished.promise, "failed");
  assert.deepEqual(
    run.ends("a").map(({ state, stepState }) => [state, stepState]),
    [
      ["lost", null],
      ["succeeded", "succeeded"],
    ],
  );
  assert.deepEqual(
    run.ends("b").map(({ attempt, stepState }) => [attempt, stepState]),
    [
      [1, null],
      [2, null],
      [3, "failed"],
    ],
  );
  assert.equal(finalStates(run).c, "skipped");
  await assertTidy(fixture, backend);
});

test("a cancel stops what runs, by force where TERM is ignored, and nothing further starts", async () => {
  await using fixture = await AgentFixture.open();
  const backend = new MemoryBackend();
  backend.script("stubborn", ignoresTerm());
  backend.script("gentle", hangs());
  await fixture.start(backend, { settings: { graceMs: 100 } });
  const run = fixture.server.submit(
    assignmentOf(`
name: cancelled
environment: { image: any }
steps:
  stubborn: { run: "true" }
  gentle: { run: "true" }
  next: { run: "true", needs: [stubborn] }
`),
  );
  await Promise.all([backend.started("stubborn"), backend.started("gentle")]);
  fixture.server.cancel(run);
  assert.equal(await run.finished.promise, "cancelled");
  assert.deepEqual(finalStates(run), { stubborn: "cancelled", gentle: "cancelled", next: "cancelled" });
  assert.equal(backend.callsOf("submit", "next"), 0);
  await assertTidy(fixture, backend);
});

test("a run that this worker has no backend for fails at once with a configuration fault", async () => {
  await using fixture = await AgentFixture.open();
  const backend = new MemoryBackend();
  await fixture.start(backend);
  const run = fixture.server.submit(assignmentOf(CHAIN, { backend: "kubernetes" }));
  assert.equal(await run.finished.promise, "failed");
  const end = run.events.at(-1);
  assert.ok(
    end?.type === "run.finished" && end.fault?.class === "configuration" && end.fault.message.includes("kubernetes"),
  );
  await assertTidy(fixture, backend);
});

test("a run goes on while the server is away, and everything is reported when it is back", async () => {
  await using fixture = await AgentFixture.open();
  const backend = new MemoryBackend();
  backend.script("a", waitsThen(exits(0, { outputs: { x: "x" } })));
  backend.script("b", exits(0, { stdout: "while away\n", outputs: { y: "y".repeat(50_000) } }));
  await fixture.start(backend);
  const run = fixture.server.submit(assignmentOf(CHAIN));
  const first = await backend.started("a");
  await fixture.server.goAway();
  first.tell();
  await backend.started("c");
  assert.equal(run.ended, null);
  await fixture.server.comeBack();
  assert.equal(await run.finished.promise, "succeeded");
  assert.equal(run.log("b"), "while away\n");
  await assertTidy(fixture, backend);
});

test("answers that are lost on their way change nothing: what is sent twice counts once", async () => {
  await using fixture = await AgentFixture.open();
  const backend = new MemoryBackend({
    fallback: exits(0, { stdout: "once\n", outputs: { x: "x", y: "y".repeat(20_000) } }),
  });
  let count = 0;
  fixture.server.interfere = (path) => (path.startsWith("/runs/") && count++ % 3 === 0 ? "lose-answer" : undefined);
  await fixture.start(backend);
  const run = fixture.server.submit(assignmentOf(CHAIN));
  assert.equal(await run.finished.promise, "succeeded");
  assert.deepEqual(
    ["a", "b", "c"].map((step) => run.log(step)),
    ["once\n", "once\n", "once\n"],
  );
  await assertTidy(fixture, backend);
});

test("an assignment whose answer was lost is delivered again and runs once", async () => {
  await using fixture = await AgentFixture.open();
  const backend = new MemoryBackend({ fallback: exits(0, { outputs: { x: "x", y: "y" } }) });
  let lost = false;
  fixture.server.interfere = (path) => {
    if (path !== "/poll" || lost || fixture.server.runs.size === 0) return undefined;
    lost = true;
    return "lose-answer";
  };
  const run = fixture.server.submit(assignmentOf(CHAIN));
  await fixture.start(backend);
  assert.equal(await run.finished.promise, "succeeded");
  assert.ok(lost);
  assert.equal(backend.callsOf("submit", "a"), 1);
  await assertTidy(fixture, backend);
});

test("a lease that was given to another worker is dropped: what runs is stopped, nothing more is reported", async () => {
  await using fixture = await AgentFixture.open();
  const backend = new MemoryBackend();
  backend.script("a", hangs());
  await fixture.start(backend);
  const run = fixture.server.submit(assignmentOf(CHAIN));
  await backend.started("a");
  await until("the start is reported", () => run.events.length === 2);
  fixture.server.revoke(run);
  await assertTidy(fixture, backend);
  assert.equal(run.events.length, 2);
});

test("when a newer boot speaks for the worker, the older process stops its work and ends", async () => {
  await using fixture = await AgentFixture.open();
  const backend = new MemoryBackend();
  backend.script("a", hangs());
  const agent = await fixture.start(backend);
  fixture.server.submit(assignmentOf(CHAIN));
  await backend.started("a");
  fixture.server.interfere = (path) => (path === "/heartbeat" ? new BerthError("stale_boot", "newer") : undefined);
  await assert.rejects(agent.closed, { code: "stale_boot" });
  await assertTidy(fixture, backend);
});

test("an agent whose worker was removed stops its work, and ends with what the server says is to be done", async () => {
  await using fixture = await AgentFixture.open();
  const backend = new MemoryBackend();
  backend.script("a", hangs());
  const agent = await fixture.start(backend);
  fixture.server.submit(assignmentOf(CHAIN));
  await backend.started("a");
  fixture.server.interfere = () => new BerthError("unauthenticated", "the worker was removed", { advice: "register" });
  await assert.rejects(agent.closed, { code: "unauthenticated", message: /was removed/, advice: "register" });
  await assertTidy(fixture, backend);
});

test("an agent of another version than the server does not start, and says which of them to update", async () => {
  await using fixture = await AgentFixture.open();
  fixture.server.interfere = (path) =>
    path === "/boot" ? new BerthError("invalid_request", "version 2", { advice: "update the agent" }) : undefined;
  const refused = { code: "invalid_request", message: /version 2/, advice: "update the agent" };
  await assert.rejects(fixture.start(new MemoryBackend()), refused);
  assert.deepEqual(
    fixture.server.requests.filter((request) => request !== "POST /register"),
    ["POST /boot"],
    "a refusal is not tried again, and nothing else is asked",
  );
});

test("two agents in one folder: the second does not start, and says so", async () => {
  await using fixture = await AgentFixture.open();
  await fixture.start(new MemoryBackend());
  await assert.rejects(fixture.start(new MemoryBackend()), { code: "conflict", message: /another agent works in/ });
});

test("below the free space that is needed no run is taken, and again above it", async () => {
  await using fixture = await AgentFixture.open();
  const backend = new MemoryBackend({ fallback: exits(0, { outputs: { x: "x", y: "y" } }) });
  let freeBytes = 1_000;
  const diskSpace = async () => ({ freeBytes, totalBytes: 1_000_000 });
  await fixture.start(backend, { diskSpace, settings: { diskFreeMinBytes: 2_000 }, inspectIntervalMs: 20 });
  const run = fixture.server.submit(assignmentOf(CHAIN));
  await until("two heartbeats", () => fixture.server.heartbeats.length >= 2);
  assert.equal(run.holder, null);
  freeBytes = 3_000;
  assert.equal(await run.finished.promise, "succeeded");
});

test("a run that was handed over starts from what is committed, with the next attempt's number", async () => {
  await using fixture = await AgentFixture.open();
  const backend = new MemoryBackend();
  const digest = fixture.server.addBlob(Buffer.from("from the other worker"));
  const content = { kind: "file", digest, size: 21, fileName: "x", contentType: "text/plain", fileCount: 1 } as const;
  backend.script("b", (step) => {
    step.print(readFileSync(join(step.spec.folder, "in/x")));
    step.write("y", "y");
    return { exit: 0 };
  });
  await fixture.start(backend);
  const run = fixture.server.submit(
    assignmentOf(CHAIN, {
      prior: [
        {
          stepRun: "a",
          state: "succeeded",
          attempts: 1,
          faults: NO_FAULTS,
          byCondition: false,
          items: null,
          outputs: { x: content },
        },
        {
          stepRun: "b",
          state: "pending",
          attempts: 2,
          faults: NO_FAULTS,
          byCondition: false,
          items: null,
          outputs: {},
        },
      ],
    }),
  );
  assert.equal(await run.finished.promise, "succeeded");
  assert.equal(run.log("b", "stdout", 3), "from the other worker");
  assert.equal(backend.callsOf("submit", "a"), 0);
  await assertTidy(fixture, backend);
});

test("a stopped agent detaches: the next one takes over what ran and reads how it ended", async () => {
  await using fixture = await AgentFixture.open();
  const backend = new MemoryBackend();
  backend.script("a", hangs());
  backend.script("b", exits(0, { outputs: { y: "y" } }));
  const first = await fixture.start(backend);
  const run = fixture.server.submit(assignmentOf(CHAIN));
  const attempt = await backend.started("a");
  attempt.print("before\n");
  await until("the log is live", () => run.log("a") === "before\n");
  await first.stop();
  attempt.print("between\n");
  attempt.write("x", "x");
  attempt.finish({ exit: 0 });
  await fixture.start(backend);
  assert.equal(await run.finished.promise, "succeeded");
  assert.equal(attempt.starts, 1);
  assert.equal(run.log("a"), "before\nbetween\n");
  await assertTidy(fixture, backend);
});

test("a run whose lease was lost while the agent was away is removed without a report", async () => {
  await using fixture = await AgentFixture.open();
  const backend = new MemoryBackend();
  backend.script("a", hangs());
  const first = await fixture.start(backend);
  const run = fixture.server.submit(assignmentOf(CHAIN));
  await backend.started("a");
  await until("the start is reported", () => run.events.length === 2);
  await first.stop();
  fixture.server.revoke(run);
  await fixture.start(backend);
  await assertTidy(fixture, backend);
  assert.equal(run.events.length, 2);
});

test("the next object is made ready while its predecessor runs, and let go once", async () => {
  await using fixture = await AgentFixture.open();
  const backend = new MemoryBackend();
  backend.script("a", waitsThen(exits(0, { outputs: { x: "x" } })));
  backend.script("b", exits(0, { outputs: { y: "y" } }));
  await fixture.start(backend);
  const run = fixture.server.submit(assignmentOf(CHAIN));
  const first = await backend.started("a");
  await until("b is made ready", () => backend.callsOf("prepare", "b") === 1);
  assert.equal(backend.attempt("b").starts, 0);
  first.tell();
  assert.equal(await run.finished.promise, "succeeded");
  await assertTidy(fixture, backend);
});

test("what was made ready and is skipped after all is removed", async () => {
  await using fixture = await AgentFixture.open();
  const backend = new MemoryBackend();
  backend.script("a", waitsThen(exits(1)));
  await fixture.start(backend);
  const run = fixture.server.submit(assignmentOf(`${CHAIN}retry: 0\n`));
  const first = await backend.started("a");
  await until("b is made ready", () => backend.callsOf("prepare", "b") === 1);
  first.tell();
  assert.equal(await run.finished.promise, "failed");
  await assertTidy(fixture, backend);
});

test("an image that cannot be made ready fails the steps that need it, with the build's log, and no others", async () => {
  await using fixture = await AgentFixture.open();
  const backend = new MemoryBackend({ capabilities: { images: true, build: true } });
  backend.image("broken", () => ({ ok: false, fault: fault("image-not-found", "There is no image broken.") }));
  backend.script("fine", exits(0));
  await fixture.start(backend);
  const run = fixture.server.submit(
    assignmentOf(`
name: images
environments:
  good: { image: good }
  bad: { image: broken }
steps:
  fine: { environment: good, run: "true" }
  stuck: { environment: bad, run: "true" }
  next: { environment: good, run: "true", needs: [stuck] }
`),
  );
  assert.equal(await run.finished.promise, "failed");
  assert.deepEqual(finalStates(run), { fine: "succeeded", stuck: "failed", next: "skipped" });
  const end = run.events.at(-1);
  assert.ok(end?.type === "run.finished" && end.fault?.code === "image-not-found");
  assert.ok(run.events.some((event) => event.type === "image.ready" && event.environment === "good"));
  await assertTidy(fixture, backend);
});

test("a batch that was split under an earlier lease goes on with the items that are left", async () => {
  await using fixture = await AgentFixture.open();
  const backend = new MemoryBackend();
  const content = (bytes: string) =>
    ({
      kind: "file",
      digest: fixture.server.addBlob(Buffer.from(bytes)),
      size: bytes.length,
      fileName: "f.txt",
      contentType: "text/plain",
      fileCount: 1,
    }) as const;
  backend.script("work[1]", (step) => {
    step.write("o", readFileSync(join(step.spec.folder, "in/batch")));
    return { exit: 0 };
  });
  backend.script("all", printsInput("os"));
  await fixture.start(backend);
  const prior = { faults: NO_FAULTS, byCondition: false, attempts: 1, items: null, outputs: {} };
  const run = fixture.server.submit(
    assignmentOf(
      `
name: handed-over
environment: { image: any }
steps:
  rows: { run: "true", outputs: { rows: { path: rows.txt } } }
  work: { batch: { over: rows.rows, size: 1 }, run: "true", outputs: { o: { path: o } } }
  all: { run: "true", inputs: { os: { from: work.o, gather: lines } } }
`,
      {
        prior: [
          { ...prior, stepRun: "rows", state: "succeeded", outputs: { rows: content("one\ntwo\n") } },
          { ...prior, stepRun: "work", state: "pending", attempts: 0, items: 2 },
          { ...prior, stepRun: "work[0]", state: "succeeded", outputs: { o: content("done before\n") } },
          { ...prior, stepRun: "work[1]", state: "pending" },
        ],
      },
    ),
  );
  assert.equal(await run.finished.promise, "succeeded");
  assert.equal(backend.callsOf("submit", "work[0]"), 0);
  assert.equal(run.ends("work[1]")[0]?.attempt, 2);
  assert.equal(run.log("all"), "done before\ntwo\n");
  assert.ok(run.events.some((event) => event.type === "step.expanded" && event.items === 2));
  await assertTidy(fixture, backend);
});

test("a log of 200 MB is shipped to the byte, and little of it is in memory at any time", async () => {
  await using fixture = await AgentFixture.open();
  const before = process.memoryUsage.rss();
  const run = fixture.server.submit(
    assignmentOf(`
name: chatty
environment: { image: none }
steps:
  talk: { run: "yes 0123456789012345678901234567890123456789012345678 | head -n 4000000" }
`),
  );
  run.discardLogs = true;
  let peak = before;
  const watch = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage.rss());
  }, 20);
  await fixture.start(processBackend());
  assert.equal(await run.finished.promise, "succeeded");
  clearInterval(watch);
  assert.equal(run.logSize("talk"), 200_000_000);
  // The heap of a process that never was busy before grows by a hundred by itself.
  assert.ok(peak - before < 250 * 1024 * 1024, `grew by ${Math.round((peak - before) / 1024 / 1024)} MiB`);
});
