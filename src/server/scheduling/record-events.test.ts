import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import {
  CHAIN,
  chainEvents,
  errorOf,
  inlineOutput,
  poll,
  runServer,
  showRun,
  showSteps,
  started,
  submit,
  succeeded,
  takeRun,
} from "../../../test/setup/run-fixture.ts";
import { type TestServer, testWorker } from "../../../test/setup/server.ts";
import type { FolderManifest, ProducedOutput } from "../../protocol/artifacts.ts";
import type { AgentEventBody } from "../../protocol/events.ts";
import { type FaultCode, fault } from "../../protocol/faults.ts";
import type { RunEventPage } from "../../protocol/resources.ts";

/** Everything that reports can change, to show that a refused one changed nothing. */
async function snapshot({ services }: TestServer): Promise<unknown> {
  const tables = [
    "runs",
    "step_runs",
    "attempts",
    "run_events",
    "artifact_versions",
    "artifact_runs",
    "artifact_inputs",
  ];
  const contents = await Promise.all(
    [...tables, "artifacts", "blobs", "log_chunks"].map((table) =>
      services.database.pool.query(`SELECT t::text AS row FROM ${table} AS t ORDER BY 1`),
    ),
  );
  return contents.map(({ rows }) => rows.map(({ row }) => row));
}

async function events(server: TestServer, run: string): Promise<RunEventPage> {
  return (await server.call("viewer", { url: `/runs/${run}/events` })).json();
}

test("a run goes from its first to its last event, and each step, attempt and output is shown", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const { id } = await submit(server);
  const run = await takeRun(worker);
  assert.equal(run.assignment.run, id);
  assert.deepEqual(run.assignment.prior, []);
  assert.equal(run.assignment.timeLeftMs, null);
  const answer = await run.report(...chainEvents("hello"));
  assert.deepEqual(answer.json(), { ackedSeq: 6, cancel: null });

  const shown = await showRun(server, id);
  assert.equal(shown.state, "succeeded");
  assert.equal(shown.stepCounts.succeeded, 2);
  assert.ok(shown.startedAt && shown.finishedAt);
  const steps = await showSteps(server, id);
  assert.deepEqual([...steps.keys()], ["make", "use"]);
  assert.equal(steps.get("make")?.attempts[0]?.exitCode, 0);
  assert.equal(steps.get("make")?.attempts[0]?.worker.id, worker.id);
  const page = await events(server, id);
  assert.deepEqual(
    page.items.map(({ seq, body }) => `${seq} ${body.type}`),
    [
      ...["1 run.created", "2 run.leased", "3 run.started", "4 attempt.started", "5 attempt.finished"],
      ...["6 attempt.started", "7 attempt.finished", "8 run.finished"],
    ],
  );
  assert.equal(page.ended, true);
  assert.doesNotMatch(JSON.stringify(page), /inline/);

  const detail = await server.call("viewer", { url: "/artifacts/chain/make/text/latest" });
  assert.equal(detail.json().items[0].run.id, id);
  assert.equal(detail.json().complete, true);
  const content = await server.call("viewer", { url: "/artifacts/chain/make/text/1/content" });
  assert.equal(content.body, "hello");
});

test("a run succeeds with steps that a condition skipped or that may fail, and not with any other", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const pipeline = `
name: flow
environment: { image: busybox }
steps: { lint: { run: x, allow_failure: true }, a: { run: x, when: false }, b: { run: x } }
`;
  const { id } = await submit(server, { pipeline });
  const run = await takeRun(worker);
  const failed = { state: "failed", stepState: "failed", exitCode: 1, fault: fault("exit-nonzero", "1") } as const;
  const end = { type: "run.finished", state: "succeeded", fault: null } as const;
  const skipped = (code: FaultCode) =>
    ({ type: "step.finished", stepRun: "a", state: "skipped", fault: fault(code, "…") }) as const;
  const lint = { ...succeeded("lint"), ...failed } as AgentEventBody;
  assert.equal((await run.report(started("lint"), lint)).statusCode, 200);
  const b = [started("b"), succeeded("b")];
  const refused = await run.report(...b, skipped("upstream-failed"), end);
  assert.match(errorOf(refused).message, /cannot have succeeded: a did not/);
  assert.equal((await run.reportFrom(3, ...b, skipped("condition"), end)).statusCode, 200);
  assert.equal((await showRun(server, id)).state, "succeeded");
});

test("batches sent again, whole or in part, change nothing; a batch with a hole is refused and told where to go on", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  await submit(server);
  const run = await takeRun(worker);
  const all = chainEvents();
  assert.equal((await run.report(...all.slice(0, 3))).statusCode, 200);
  const before = await snapshot(server);

  assert.deepEqual((await run.reportFrom(1, ...all.slice(0, 3))).json(), { ackedSeq: 3, cancel: null });
  assert.deepEqual((await run.reportFrom(2, ...all.slice(1, 2))).json(), { ackedSeq: 3, cancel: null });
  const hole = await run.reportFrom(5, ...all.slice(4, 5));
  assert.equal(hole.statusCode, 409);
  assert.equal(errorOf(hole).code, "sequence_gap");
  assert.equal(errorOf(hole).details?.expected, 4);
  assert.deepEqual(await snapshot(server), before);

  const { run: id, epoch } = run.assignment;
  const at = new Date().toISOString();
  const reordered = [
    { seq: 5, at, body: all[4] },
    { seq: 4, at, body: all[3] },
  ];
  const answer = await worker.call("POST", `/agent/runs/${id}/events`, { epoch, events: reordered });
  assert.equal(errorOf(answer).code, "sequence_gap");
  assert.deepEqual(await snapshot(server), before);

  assert.deepEqual((await run.reportFrom(2, ...all.slice(1))).json(), { ackedSeq: 6, cancel: null });
  const after = await snapshot(server);
  assert.deepEqual((await run.reportFrom(1, ...all)).json(), { ackedSeq: 6, cancel: null });
  assert.deepEqual(await snapshot(server), after);
});

test("a stale epoch changes no row and gets 409; a run of another worker gets 404 on every route", async (t) => {
  const server = await runServer(t);
  const [first, second, stranger] = [await testWorker(server), await testWorker(server), await testWorker(server)];
  const { id } = await submit(server);
  const stale = await takeRun(first);
  await server.services.database.pool.query(
    "UPDATE runs SET state = 'queued', worker_id = NULL, lease_expires_at = NULL WHERE id = $1",
    [id],
  );
  const fresh = await takeRun(second);
  assert.equal(fresh.assignment.epoch, 2);
  const before = await snapshot(server);

  const report = await stale.report(...chainEvents());
  assert.equal(report.statusCode, 409);
  assert.equal(errorOf(report).code, "stale_epoch");
  const logs = await stale.logs({ stepRun: "make", attempt: 1, stream: "stdout", offset: 0, text: "late" });
  assert.equal(errorOf(logs).code, "stale_epoch");
  // The new holder with the old number is as stale.
  const at = new Date().toISOString();
  const old = { epoch: 1, events: [{ seq: 1, at, body: chainEvents()[0] }] };
  assert.equal((await second.call("POST", `/agent/runs/${id}/events`, old)).statusCode, 409);

  for (const epoch of [1, 2, 3]) {
    const answer = await stranger.call("POST", `/agent/runs/${id}/events`, { ...old, epoch });
    assert.equal(answer.statusCode, 404, answer.body);
  }
  const { logBody } = await import("../../../test/setup/run-fixture.ts");
  const { LOGS_CONTENT_TYPE } = await import("../../protocol/agent-api.ts");
  const body = await logBody(2, [{ stepRun: "make", attempt: 1, stream: "stdout", offset: 0, text: "x" }]);
  const foreign = await stranger.call("POST", `/agent/runs/${id}/logs`, body, { contentType: LOGS_CONTENT_TYPE });
  assert.equal(foreign.statusCode, 404);
  const beat = await stranger.call("POST", "/agent/heartbeat", { held: [{ run: id, epoch: 2 }] });
  assert.deepEqual(beat.json().lost, [{ run: id, epoch: 2 }]);
  assert.deepEqual((await poll(stranger, { held: [{ run: id, epoch: 2 }] })).json().lost, [{ run: id, epoch: 2 }]);
  assert.deepEqual(await snapshot(server), before);
});

test("a commit is all or nothing: with one blob missing, nothing of the batch is there, and the digest is named", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  await submit(server);
  const run = await takeRun(worker);
  const { inline: _, ...missing } = inlineOutput("text", "not uploaded");
  const batch = [started("make"), succeeded("make", [missing])];
  const before = await snapshot(server);
  const refused = await run.report(...batch);
  assert.equal(refused.statusCode, 409);
  assert.equal(errorOf(refused).code, "missing_blobs");
  assert.deepEqual(errorOf(refused).details, { missing: [missing.content.digest] });
  assert.deepEqual(await snapshot(server), before);

  const bytes = Buffer.from("not uploaded");
  await server.services.blobs.put(server.project, missing.content.digest, bytes.length, bytes);
  assert.equal((await run.report(...batch)).statusCode, 200);
});

test("bytes that are not what their digest says are refused", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  await submit(server);
  const run = await takeRun(worker);
  const output = inlineOutput("text", "good");
  const bent = { ...output, inline: Buffer.from("evil").toString("base64") };
  const answer = await run.report(started("make"), succeeded("make", [bent]));
  assert.equal(answer.statusCode, 422);
  assert.equal(errorOf(answer).code, "digest_mismatch");
});

test("success needs exit code 0, every required output, and nothing that the step does not declare", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  await submit(server);
  const run = await takeRun(worker);
  const output = inlineOutput("text", "x");
  assert.equal((await run.report(started("make"))).statusCode, 200);
  const before = await snapshot(server);
  const lies: [RegExp, AgentEventBody][] = [
    [/exit code 1 /, succeeded("make", [output], [], { exitCode: 1 })],
    [/exit code null/, succeeded("make", [output], [], { exitCode: null })],
    [/"text" is missing/, succeeded("make", [])],
    [/no output "other"/, succeeded("make", [output, inlineOutput("other", "y")])],
    [/no output "constructor"/, succeeded("make", [output, inlineOutput("constructor", "y")])],
    [/twice/, succeeded("make", [output, output])],
    [/newest attempt is 1/, succeeded("make", [output], [], { attempt: 2 })],
    [/no such step run/, succeeded("mkae", [output])],
    [/only so/, succeeded("make", [output], [], { stepState: null })],
    [/only so/, succeeded("make", [], [], { state: "failed" })],
    [/a success has no fault/, succeeded("make", [output], [], { fault: fault("oom", "m") })],
    [/still runs/, { type: "step.finished", stepRun: "make", state: "failed", fault: null }],
    [/by an attempt/, { type: "step.finished", stepRun: "use", state: "succeeded", fault: null }],
    [/cannot have succeeded/, { type: "run.finished", state: "succeeded", fault: null }],
    [/attempt 1 still runs/, started("make", 2)],
    [/next attempt is 1/, started("use", 2)],
    [/not a batch/, { type: "step.expanded", stepRun: "use", items: 2 }],
  ];
  for (const [why, lie] of lies) {
    const answer = await run.report(lie);
    assert.equal(answer.statusCode, 409, answer.body);
    assert.match(errorOf(answer).message, why);
  }
  assert.deepEqual(await snapshot(server), before);
});

test("what a step read has to be committed before it, and is kept as lineage", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  await submit(server);
  const run = await takeRun(worker);
  const output = inlineOutput("text", "x");
  const read = { name: "text", stepRun: "make", artifact: "text", digest: output.content.digest };
  const early = await run.report(started("use"), succeeded("use", [], [read]));
  assert.equal(errorOf(early).code, "conflict");
  assert.match(errorOf(early).message, /not committed/);
  await run.report(started("make"), succeeded("make", [output]));
  const other = { ...read, digest: "0".repeat(64) };
  assert.match(errorOf(await run.report(started("use"), succeeded("use", [], [other]))).message, /not committed/);
  assert.equal((await run.report(started("use"), succeeded("use", [], [read]))).statusCode, 200);
  const { rows } = await server.services.database.pool.query("SELECT step_run, input FROM artifact_inputs");
  assert.deepEqual(rows, [{ step_run: "use", input: "text" }]);
});

test("exactly one attempt's outputs become visible, whatever the attempts before it left behind", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const pipeline = CHAIN.replace("text: { path: text }", "text: { path: text, when: always }");
  const { id } = await submit(server, { pipeline });
  const run = await takeRun(worker);
  const failed = fault("vanished", "gone");
  const lost = { state: "lost", stepState: null, exitCode: null, fault: failed } as const;
  const answer = await run.report(
    started("make", 1),
    succeeded("make", [inlineOutput("text", "first")], [], lost),
    started("make", 2),
    succeeded("make", [inlineOutput("text", "second")], [], { attempt: 2 }),
  );
  assert.equal(answer.statusCode, 200, answer.body);
  const content = await server.call("viewer", { url: "/artifacts/chain/make/text/latest/content" });
  assert.equal(content.body, "second");
  const listed = (await server.call("viewer", { url: `/runs/${id}/artifacts` })).json();
  assert.deepEqual(
    listed.items.map(({ attempt }: { attempt: number }) => attempt),
    [2],
  );
  const attempts = (await showSteps(server, id)).get("make")!.attempts;
  assert.deepEqual(
    attempts.map(({ attempt, state }) => `${attempt} ${state}`),
    ["1 lost", "2 succeeded"],
  );
});

test("outputs that are kept after a failure are visible, but never `latest`", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const pipeline = CHAIN.replace("text: { path: text }", "text: { path: text, when: always }");
  await submit(server, { pipeline });
  const run = await takeRun(worker);
  const end = { state: "failed", stepState: "failed", exitCode: 3, fault: fault("exit-nonzero", "3") } as const;
  await run.report(started("make"), succeeded("make", [inlineOutput("text", "partial")], [], end));
  const one = await server.call("viewer", { url: "/artifacts/chain/make/text/1" });
  assert.equal(one.json().complete, false);
  assert.equal((await server.call("viewer", { url: "/artifacts/chain/make/text/latest" })).statusCode, 404);
});

test("a run that fails closes what it leaves open: nothing of an ended run looks alive", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const { id } = await submit(server);
  const run = await takeRun(worker);
  const why = fault("exit-nonzero", "exit 1");
  await run.report(started("make"), { type: "run.finished", state: "failed", fault: why });
  const shown = await showRun(server, id);
  assert.equal(shown.state, "failed");
  assert.equal(shown.fault?.code, "exit-nonzero");
  assert.deepEqual([shown.stepCounts.pending, shown.stepCounts.running], [0, 0]);
  const steps = await showSteps(server, id);
  assert.equal(steps.get("use")?.state, "skipped");
  assert.equal(steps.get("make")?.attempts[0]?.state, "lost");
  const late = await run.report(started("use"));
  assert.equal(errorOf(late).code, "stale_epoch");
});

const BATCH = `
name: batches
environment: { image: busybox }
steps:
  rows:
    run: seq 5 > $BERTH_OUT/rows
    outputs: { rows: { path: rows } }
  score:
    batch: { over: rows.rows, size: 2, parallel: 2 }
    run: cat
    outputs: { score: { path: score } }
  none:
    batch: { over: rows.rows, size: 2 }
    run: cat
`;

test("a batch is split, its items share one version, and it succeeds only when all of them have", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const { id } = await submit(server, { pipeline: BATCH });
  const run = await takeRun(worker);
  const batchDone: AgentEventBody = { type: "step.finished", stepRun: "score", state: "succeeded", fault: null };
  await run.report(started("rows"), succeeded("rows", [inlineOutput("rows", "1\n2\n3\n4\n5\n")]));
  const split: AgentEventBody = { type: "step.expanded", stepRun: "score", items: 3 };
  const ofItem = (item: number) => [
    started(`score[${item}]`),
    succeeded(`score[${item}]`, [inlineOutput("score", `s${item}`)]),
  ];
  assert.equal((await run.report(split, ...ofItem(2), ...ofItem(0))).statusCode, 200);
  const early = await run.report(batchDone);
  assert.match(errorOf(early).message, /score cannot have succeeded: score\[1\]/);
  assert.match(errorOf(await run.report(started("score"))).message, /items have/);
  assert.equal((await server.call("viewer", { url: "/artifacts/batches/score/score/latest" })).statusCode, 404);
  assert.equal((await run.report(...ofItem(1), batchDone)).statusCode, 200);

  const detail = (await server.call("viewer", { url: "/artifacts/batches/score/score/latest?limit=2" })).json();
  assert.deepEqual(
    detail.items.map(({ item }: { item: string }) => item),
    ["0", "1"],
  );
  const rest = await server.call("viewer", {
    url: `/artifacts/batches/score/score/1?limit=2&cursor=${encodeURIComponent(detail.next)}`,
  });
  assert.deepEqual([rest.json().items[0].item, rest.json().next], ["2", null]);
  const content = await server.call("viewer", { url: "/artifacts/batches/score/score/1/content?item=2" });
  assert.equal(content.body, "s2");
  const which = await server.call("viewer", { url: "/artifacts/batches/score/score/1/content" });
  assert.deepEqual(errorOf(which).details, { items: ["0", "1", "2"], more: false });

  const empty = await run.report(
    { type: "step.expanded", stepRun: "none", items: 0 },
    { ...batchDone, stepRun: "none" },
    { type: "run.finished", state: "succeeded", fault: null },
  );
  assert.equal(empty.statusCode, 200, empty.body);
  const keys = [...(await showSteps(server, id)).keys()];
  assert.deepEqual(keys, ["rows", "score", "score[0]", "score[1]", "score[2]", "none"]);
});

function folderOutput(manifest: FolderManifest, size: number): ProducedOutput {
  const output = inlineOutput("text", JSON.stringify(manifest));
  return { ...output, content: { ...output.content, kind: "folder", size, fileCount: manifest.entries.length } };
}

test("a folder is committed with every file of it, and each file can be had by its path", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  await submit(server);
  const run = await takeRun(worker);
  const bytes = Buffer.from("in a folder");
  const digest = createHash("sha256").update(bytes).digest("hex");
  const file = { kind: "file", path: "a/b.txt", mode: 0o644, size: bytes.length, digest } as const;
  const folder = folderOutput({ schema: 1, entries: [file] }, bytes.length);
  const batch = [started("make"), succeeded("make", [folder])];
  const missing = await run.report(...batch);
  assert.deepEqual(errorOf(missing).details, { missing: [digest] });
  await server.services.blobs.put(server.project, digest, bytes.length, bytes);

  const wrongSum = folderOutput({ schema: 1, entries: [file] }, 7);
  assert.match(errorOf(await run.report(started("make"), succeeded("make", [wrongSum]))).message, /adds up/);
  const unsafe = folderOutput({ schema: 1, entries: [{ ...file, path: "../b.txt" }] }, bytes.length);
  assert.match(errorOf(await run.report(started("make"), succeeded("make", [unsafe]))).message, /unsafe path/);

  assert.equal((await run.report(...batch)).statusCode, 200);
  const at = "/artifacts/chain/make/text/1/content";
  assert.deepEqual((await server.call("viewer", { url: at })).json().entries, [file]);
  assert.equal((await server.call("viewer", { url: `${at}?path=a/b.txt` })).body, "in a folder");
  assert.equal((await server.call("viewer", { url: `${at}?path=a` })).statusCode, 404);
});

test("versions are numbered per artifact, also when runs of one pipeline commit at the same time", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const held = [];
  for (let index = 0; index < 2; index++) {
    await submit(server);
    const run = await takeRun(
      worker,
      held.map(({ assignment }) => ({ run: assignment.run, epoch: assignment.epoch })),
    );
    held.push(run);
  }
  const answers = await Promise.all(held.map((run) => run.report(...chainEvents())));
  assert.deepEqual(
    answers.map(({ statusCode }) => statusCode),
    [200, 200],
  );
  const { rows } = await server.services.database.pool.query("SELECT version FROM artifact_versions ORDER BY version");
  assert.deepEqual(rows, [{ version: 1 }, { version: 2 }]);
});

test("a report is taken whatever bytes a step left in it", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const { id } = await submit(server);
  const run = await takeRun(worker);
  const why = fault("exit-nonzero", "a \0 b \ud800 c \\u0000", { evidence: "\0" });
  const end = { state: "failed", stepState: "failed", exitCode: 1, fault: why, warnings: ["\0"] } as const;
  const answer = await run.report(started("make"), succeeded("make", [], [], { ...end, warnings: ["\0"] }));
  assert.equal(answer.statusCode, 200, answer.body);
  assert.equal((await showSteps(server, id)).get("make")?.fault?.message, "a \uFFFD b \uFFFD c \\u0000");
});

test("an attempt shows what it was made of: image, memory, and how the run had ended before it", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const { id } = await submit(server);
  const run = await takeRun(worker);
  const image = { id: "sha256:abc", digest: "sha256:def" };
  const runEnd = { state: "failed", fault: fault("exit-nonzero", "It exited with 3.") } as const;
  const begun = { ...started("make"), image, memoryBytes: 2 ** 40, runEnd } as ReturnType<typeof started>;
  const answer = await run.report({ type: "run.started", backend: "docker" }, begun);
  assert.equal(answer.statusCode, 200, answer.body);
  const [attempt] = (await showSteps(server, id)).get("make")!.attempts;
  assert.deepEqual([attempt?.image, attempt?.memoryBytes, attempt?.runEnd], [image, 2 ** 40, runEnd]);
});

const failed = { state: "failed", stepState: "failed", exitCode: 1, fault: fault("exit-nonzero", "1") } as const;

test("a run ends although the step's own words hold what no text of the database can", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const { id } = await submit(server, {
    pipeline: "name: p\nenvironment: { image: busybox }\nsteps: { a: { run: x } }\n",
  });
  const run = await takeRun(worker);
  const said = fault("business", "bad row: \u0000 \ud83d");
  const body = { ...succeeded("a"), ...failed, fault: said } as AgentEventBody;
  assert.equal((await run.report({ type: "run.started", backend: "process" }, started("a"), body)).statusCode, 200);
  const answer = await run.report({
    type: "run.finished",
    state: "failed",
    fault: { ...said, message: `a: ${said.message}` },
  });
  assert.equal(answer.statusCode, 200, answer.body);
  assert.equal((await showRun(server, id)).state, "failed");
});

test("a run ends although the fault is cut within a character", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const { id } = await submit(server, {
    pipeline: "name: p\nenvironment: { image: busybox }\nsteps: { a: { run: x } }\n",
  });
  const run = await takeRun(worker);
  // Where fault() cuts: in the middle of the emoji.
  const said = fault("business", `${"x".repeat(3999)}😀`);
  const body = { ...succeeded("a"), state: "failed", stepState: "failed", exitCode: 1, fault: said } as AgentEventBody;
  assert.equal((await run.report({ type: "run.started", backend: "process" }, started("a"), body)).statusCode, 200);
  const answer = await run.report({ type: "run.finished", state: "failed", fault: said });
  assert.equal(answer.statusCode, 200, answer.body);
  assert.equal((await showRun(server, id)).state, "failed");
});

test("a batch whose items were all skipped by fail_fast can be reported", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const pipeline = `
name: p
fail_fast: true
environment: { image: busybox }
steps:
  list: { run: x, outputs: { o: o.txt } }
  score: { run: x, batch: { over: list.o } }
  bad: { run: x, needs: [list] }
`;
  await submit(server, { pipeline });
  const run = await takeRun(worker);
  const why = fault("upstream-failed", "A step that this one needs did not succeed.");
  const skip = (stepRun: string) => ({ type: "step.finished", stepRun, state: "skipped", fault: why }) as const;
  const answer = await run.report(
    { type: "run.started", backend: "process" },
    started("list"),
    succeeded("list", [inlineOutput("o", "1\n2\n")]),
    { type: "step.expanded", stepRun: "score", items: 2 },
    started("bad"),
    { ...succeeded("bad"), ...failed },
    // What RunGraph.settle("bad", "failed") returns: see the test of the graph.
    skip("score[0]"),
    skip("score[1]"),
    skip("score"),
    { type: "run.finished", state: "failed", fault: failed.fault },
  );
  assert.equal(answer.statusCode, 200, answer.body);
});
