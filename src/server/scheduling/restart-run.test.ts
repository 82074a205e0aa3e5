import assert from "node:assert/strict";
import { test } from "node:test";
import {
  chainEvents,
  errorOf,
  inlineOutput,
  reapNow,
  runServer,
  showRun,
  showSteps,
  started,
  submit,
  succeeded,
  takeRun,
} from "../../../test/setup/run-fixture.ts";
import { testWorker } from "../../../test/setup/server.ts";
import type { AgentEventBody } from "../../protocol/events.ts";
import { fault } from "../../protocol/faults.ts";

test("what a restart takes over comes with the first lease, lineage included; what cannot be restarted says why", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const restart = (run: string, payload: object = {}) =>
    server.call("developer", { method: "POST", url: `/runs/${encodeURIComponent(run)}/restart`, payload });
  const { id } = await submit(server);
  assert.deepEqual([(await restart(id)).statusCode, (await restart(id, { from: "us" })).statusCode], [409, 422]);
  const events = chainEvents();
  assert.equal((await (await takeRun(worker)).report(...events)).statusCode, 200);
  assert.match(errorOf(await restart(id)).message, /nothing to run again/);
  const unknown = errorOf(await restart(id, { from: "us" }));
  assert.equal(unknown.message, 'chain#1 has no step "us", did you mean "use"?');
  assert.deepEqual(unknown.problems, [{ path: "from", message: "its steps are make, use" }]);

  const made = await restart(id, { from: "use", requestKey: "k" });
  assert.equal(made.statusCode, 201, made.body);
  assert.equal((await restart(id, { from: "use", requestKey: "k" })).json().id, made.json().id);
  assert.deepEqual(made.json().restartOf, { id, number: 1 });
  const held = await takeRun(worker);
  assert.deepEqual(
    held.assignment.prior.map(({ stepRun, state, attempts }) => [stepRun, state, attempts]),
    [["make", "succeeded", 0]],
  );
  const { digest } = held.assignment.prior[0]!.outputs.text!;
  const redone = await held.report({ type: "run.started", backend: "process" }, started("make"));
  assert.equal(redone.statusCode, 409, "what was taken over has ended");
  const inputs = [{ name: "text", stepRun: "make", artifact: "text", digest }];
  const wrong = inlineOutput("text", "another").content.digest;
  const lied = [{ name: "text", stepRun: "make", artifact: "text", digest: wrong }];
  assert.equal((await held.report(started("use"), succeeded("use", [], lied))).statusCode, 409);
  const end = { type: "run.finished", state: "succeeded", fault: null } as const;
  const answer = await held.report(started("use"), succeeded("use", [], inputs), end);
  assert.equal(answer.statusCode, 200, answer.body);
  const listed = (await server.call("viewer", { url: `/runs/${made.json().id}/artifacts` })).json().items;
  assert.deepEqual(
    listed.map(({ version, run }: { version: number; run: object }) => [version, run]),
    [[1, { id, number: 1 }]],
  );

  await server.services.database.pool.query("DELETE FROM artifact_inputs");
  await server.services.database.pool.query("DELETE FROM artifact_versions");
  const gone = await restart("chain#2", { from: "use" });
  const artifacts = [{ artifact: "make/text", why: "expired" }];
  assert.deepEqual([gone.statusCode, errorOf(gone).details], [409, { artifacts, from: "make" }]);
  assert.equal((await restart("chain#2", { from: "make" })).statusCode, 201, "it is made again");
});

const failed = { state: "failed", stepState: "failed", exitCode: 1, fault: fault("exit-nonzero", "1") } as const;

const GATHERED = `
name: p
environment: { image: busybox }
steps:
  part: { run: x, matrix: { n: [1, 2] }, allow_failure: true, outputs: { o: o.txt } }
  score: { run: x, batch: { over: part.o, format: lines } }
  sum: { run: x, inputs: { parts: { from: part.o, gather: lines } } }
`;

test("a restart does not keep what read less than there is now", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const { id } = await submit(server, { pipeline: GATHERED });
  const run = await takeRun(worker);
  const part = inlineOutput("o", "c\nd\n");
  const inputs = (name: string) => [{ name, stepRun: "part[n=2]", artifact: "o", digest: part.content.digest }];
  const answer = await run.report(
    { type: "run.started", backend: "process" },
    started("part[n=1]"),
    { ...succeeded("part[n=1]"), ...failed },
    started("part[n=2]"),
    succeeded("part[n=2]", [part]),
    { type: "step.expanded", stepRun: "score", items: 2 },
    started("sum"),
    succeeded("sum", [], inputs("parts")),
    started("score[0]"),
    succeeded("score[0]", [], inputs("batch")),
    started("score[1]"),
    { ...succeeded("score[1]"), ...failed },
    { type: "step.finished", stepRun: "score", state: "failed", fault: failed.fault },
    { type: "run.finished", state: "failed", fault: failed.fault },
  );
  assert.equal(answer.statusCode, 200, answer.body);
  const made = await server.call("developer", { method: "POST", url: `/runs/${id}/restart`, payload: {} });
  assert.equal(made.statusCode, 201, made.body);
  const steps = await showSteps(server, made.json().id);
  // part[n=1] runs again: its lines come before those that score and sum have read.
  assert.equal(steps.get("part[n=1]")?.state, "pending");
  assert.deepEqual(
    [steps.get("sum")?.state, steps.get("score")?.items ?? null, steps.get("score[0]")?.state ?? null],
    ["pending", null, null],
  );
});

test("what a restart is to run again is not taken from the run that it repeats", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const pipeline =
    "name: p\nenvironment: { image: busybox }\nsteps: { a: { run: x, cache: true, outputs: { o: o } } }\n";
  const { id } = await submit(server, { pipeline, noCache: true });
  const run = await takeRun(worker);
  const cache = { key: "ab".repeat(32), components: { command: "x" } };
  const answer = await run.report(
    { type: "run.started", backend: "process" },
    { ...started("a"), cache } as AgentEventBody,
    succeeded("a", [inlineOutput("o", "of the first run")]),
    { type: "run.finished", state: "succeeded", fault: null },
  );
  assert.equal(answer.statusCode, 200, answer.body);
  const made = await server.call("developer", { method: "POST", url: `/runs/${id}/restart`, payload: { from: "a" } });
  assert.equal(made.statusCode, 201, made.body);
  const again = await takeRun(worker);
  const lookUp = await worker.call("POST", `/agent/runs/${again.assignment.run}/cache`, {
    ...{ epoch: 1, stepRun: "a", key: cache.key, ttlMs: null },
  });
  assert.ok(
    again.assignment.noCache || lookUp.json().hit === null,
    `noCache ${again.assignment.noCache}, and the server offers ${lookUp.body}`,
  );
});

const VERSION = (command: string, more = "") => `
name: chain
environment: { image: busybox }
steps:
  make:
    run: echo hello > $BERTH_OUT/text
    outputs: { text: { path: text } }
  use:
    run: ${command}
    inputs: { text: make.text }
${more}`;

test("a restart runs in the images of the run that it goes on from, also in turn; with the latest it does not", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const restart = (run: string, payload: object) =>
    server.call("developer", { method: "POST", url: `/runs/${encodeURIComponent(run)}/restart`, payload });
  await submit(server);
  const [begin, ...rest] = chainEvents();
  const ready = (image: string, digest: string | null) =>
    ({ type: "image.ready", environment: "default", image, digest, cached: true, durationMs: 1 }) as const;
  const first = await takeRun(worker);
  assert.equal(first.assignment.images ?? null, null, "a run of its own takes what the name stands for");
  assert.equal((await first.report(begin!, ready("sha256:1", "sha256:2"), ...rest)).statusCode, 200);

  assert.equal((await restart("chain#1", { from: "use" })).statusCode, 201);
  const second = await takeRun(worker);
  assert.deepEqual(second.assignment.images, { default: { id: "sha256:1", digest: "sha256:2" } });
  const end = { type: "run.finished", state: "failed", fault: null } as const;
  assert.equal((await second.report({ type: "run.started", backend: "process" }, end)).statusCode, 200);
  assert.equal((await restart("chain#2", {})).statusCode, 201, "although it came to no image");
  assert.deepEqual((await takeRun(worker)).assignment.images, { default: { id: "sha256:1", digest: "sha256:2" } });
  assert.equal((await restart("chain#1", { from: "use", withLatest: true })).statusCode, 201);
  assert.equal((await takeRun(worker)).assignment.images, null);
});

test("a run that is handed over uses the images that its first worker found, and shows them", async (t) => {
  const server = await runServer(t);
  const [first, second] = [await testWorker(server), await testWorker(server)];
  const run = await submit(server);
  const fixed = { id: "sha256:1", digest: "sha256:2", reference: "busybox@sha256:2" };
  const ready = { type: "image.ready", environment: "default", image: "sha256:1", digest: "sha256:2" } as const;
  const taken = await takeRun(first);
  const [begin] = chainEvents();
  const more = { reference: fixed.reference, cached: true, durationMs: 1 };
  assert.equal((await taken.report(begin!, { ...ready, ...more })).statusCode, 200);
  assert.deepEqual((await showRun(server, run.id)).images, { default: fixed });
  await server.services.database.pool.query(
    "UPDATE runs SET lease_expires_at = now() - interval '1 hour' WHERE id = $1",
    [run.id],
  );
  await reapNow(server, 0);
  assert.deepEqual((await takeRun(second)).assignment.images, { default: fixed });
});

test("with the latest, what changed runs again with all that needs it, and the answer says why", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const restart = (payload: object) =>
    server.call("developer", { method: "POST", url: `/runs/${encodeURIComponent("chain#1")}/restart`, payload });
  await submit(server, { pipeline: VERSION("cat") });
  assert.equal((await (await takeRun(worker)).report(...chainEvents())).statusCode, 200);
  const nothing = await restart({ withLatest: true });
  assert.equal(nothing.statusCode, 409, "nothing is newer");
  assert.match(errorOf(nothing).message, /version 1 is the newest and nothing changed/);

  const newer = VERSION("wc", "  more: { needs: [use], run: date }");
  const { id } = await submit(server, { pipeline: newer });
  await server.call("developer", { method: "POST", url: `/runs/${id}/cancel`, payload: {} });
  const made = await restart({ withLatest: true });
  assert.equal(made.statusCode, 201, made.body);
  assert.deepEqual(made.json().changed, [
    { step: "use", what: ["command"] },
    { step: "more", what: ["the step is new"] },
  ]);
  assert.equal(made.json().pipelineVersion, 2);
  const { assignment } = await takeRun(worker);
  assert.deepEqual(
    assignment.prior.map(({ stepRun, state }) => [stepRun, state]),
    [["make", "succeeded"]],
  );
  assert.equal(assignment.plan.steps.length, 3);
  const same = await restart({ from: "use" });
  assert.deepEqual([same.json().pipelineVersion, same.json().changed], [1, []], "without it nothing is newer");

  const strange = VERSION("cat").replace("steps:", "params: { needed: { type: integer, required: true } }\nsteps:");
  await submit(server, { pipeline: strange, params: { needed: 1 } });
  const refused = await restart({ withLatest: true });
  assert.deepEqual([refused.statusCode, errorOf(refused).code], [422, "invalid_params"]);
});
