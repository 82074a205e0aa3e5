import assert from "node:assert/strict";
import { test } from "node:test";
import { age, collectNow, produce, producer } from "../../../test/setup/retention-fixture.ts";
import {
  CHAIN,
  chainEvents,
  errorOf,
  inlineOutput,
  runServer,
  started,
  submit,
  succeeded,
  takeRun,
} from "../../../test/setup/run-fixture.ts";
import { type TestServer, testWorker } from "../../../test/setup/server.ts";
import { fault } from "../../protocol/faults.ts";
import type { ArtifactVersion } from "../../protocol/resources.ts";

async function kept(server: TestServer, query = ""): Promise<string[]> {
  const answer = await server.call("viewer", { url: `/artifacts?limit=500${query}` });
  const items = answer.json().items as ArtifactVersion[];
  return items.map(({ pipeline, version }) => `${pipeline}/${version}`).toSorted();
}

async function content(server: TestServer, pipeline: string, version: number | string) {
  return server.call("viewer", { url: `/artifacts/${pipeline}/make/out/${version}/content` });
}

async function digestsOf({ services }: TestServer): Promise<string[]> {
  const { rows } = await services.database.pool.query<{ digest: string }>("SELECT digest FROM blobs ORDER BY digest");
  return rows.map(({ digest }) => digest);
}

test("what has expired is gone with its bytes, says when and by which rule, and keeps its place in lists of all", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  await produce(server, worker, producer("a"), "one");
  await produce(server, worker, producer("a"), "two");
  await produce(server, worker, producer("short", "retention: 1d"), "two");
  await age(server, 2);
  assert.equal((await collectNow(server)).expired, 1);
  assert.deepEqual(await kept(server), ["a/1", "a/2"]);
  assert.equal((await content(server, "a", 2)).body, "two", "the same bytes are another version's");
  const gone = await content(server, "short", 1);
  assert.equal(gone.statusCode, 410);
  assert.match(
    errorOf(gone).message,
    /^The content of short\/make\/out\/1 is gone since .*: 1d, the rule of its pipeline file\.$/,
  );
  assert.match(errorOf(gone).advice!, /berth restart short#1 --from make/);
  assert.equal(errorOf(gone).details?.rule, "1d, the rule of its pipeline file");
  assert.equal((await content(server, "short", "latest")).statusCode, 410);
  assert.deepEqual(await kept(server, "&all=true"), ["a/1", "a/2", "short/1"]);
  const shown = (await server.call("viewer", { url: "/artifacts/short/make/out/1" })).json().items[0];
  assert.equal(shown.expired.by, "1d, the rule of its pipeline file");
  assert.equal((await digestsOf(server)).length, 2);

  await age(server, 13);
  const pass = await collectNow(server);
  assert.deepEqual([pass.expired, pass.blobs, pass.blobBytes, pass.done], [2, 2, 6, true]);
  assert.deepEqual(await digestsOf(server), []);
});

test("the most specific rule holds, and a change of the settings works for what is there already", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  await produce(server, worker, producer("plain"), "1");
  await produce(server, worker, producer("piped", "retention: 3d"), "2");
  await produce(server, worker, producer("output", "retention: 3d", ", retention: 5d"), "3");
  const rule = async (pipeline: string) => {
    const url = `/artifacts/${pipeline}/make/out/latest/retention`;
    return (await server.call("viewer", { url })).json().items[0].rule.text as string;
  };
  const set = async (role: "operator" | "developer", payload: object) =>
    server.call(role, { method: "PUT", url: "/store/rules", payload });
  assert.equal(await rule("plain"), "14d, the default");
  assert.equal(await rule("piped"), "3d, the rule of its pipeline file");
  assert.equal(await rule("output"), "5d, the rule of the output in its pipeline file");
  const forever = { keepMs: null, last: null };
  const hour = { keepMs: 3_600_000, last: null };
  assert.equal((await set("developer", { scope: "project", rule: hour })).statusCode, 403);
  assert.equal((await set("operator", { scope: "installation", rule: hour })).statusCode, 403);
  assert.equal((await set("operator", { scope: "project", rule: hour })).statusCode, 200);
  assert.equal(await rule("plain"), "1h, the rule of the project");
  assert.equal(await rule("piped"), "3d, the rule of its pipeline file");
  await set("operator", { scope: "type", subject: "text", rule: { keepMs: 0, last: 2 } });
  assert.equal(await rule("plain"), "the last 2, the project's rule for the type text");
  assert.equal(await rule("piped"), "3d, the rule of its pipeline file");
  await set("operator", { scope: "artifact", subject: "piped/make/out", rule: forever });
  assert.equal(await rule("piped"), "forever, the project's rule for piped/make/out");
  await age(server, 4);
  await collectNow(server);
  assert.deepEqual(await kept(server), ["output/1", "piped/1", "plain/1"]);
  const removed = await server.call("operator", {
    method: "DELETE",
    url: "/store/rules?scope=artifact&subject=piped/make/out",
  });
  assert.equal(removed.statusCode, 204, removed.body);
  await collectNow(server);
  assert.deepEqual(await kept(server), ["output/1", "plain/1"]);
});

test("the newest are kept whatever their age, counted by versions that are complete", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const pipeline = producer("p", "retention: { last: 2 }");
  for (const text of ["1", "2", "3"]) await produce(server, worker, pipeline, text);
  await collectNow(server);
  assert.deepEqual(await kept(server), ["p/2", "p/3"]);
  const failing = pipeline.replace("path: out.txt", "path: out.txt, when: always");
  const { id } = await submit(server, { pipeline: failing });
  const failed = { state: "failed", stepState: "failed", exitCode: 1, fault: fault("exit-nonzero", "1") } as const;
  await (await takeRun(worker)).report(
    { type: "run.started", backend: "process" },
    started("make"),
    succeeded("make", [inlineOutput("out", "4")], [], failed),
    { type: "run.finished", state: "failed", fault: failed.fault },
  );
  await collectNow(server);
  assert.deepEqual(await kept(server), ["p/2", "p/3", "p/4"], `${id} is not one of the newest that count`);
});

test("nothing goes that a pin, a run, or a restart needs; what is removed by hand says why not", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const now = "retention: 1s";
  const remove = (pipeline: string, role: "developer" | "operator", query = "") =>
    server.call(role, { method: "DELETE", url: `/artifacts/${pipeline}/make/out/1${query}` });
  await produce(server, worker, producer("pinned", now), "pinned");
  const pin = await server.call("developer", {
    ...{ method: "PUT", url: "/artifacts/pinned/make/out/1/pin", payload: { reason: "the paper" } },
  });
  assert.deepEqual(pin.json(), { items: 1 }, pin.body);
  const chain = CHAIN.replace("name: chain", `name: chain\n${now}`)
    .replace("make.text", "make.out")
    .replace("{ text: { path: text } }", "{ out: { path: text } }");
  const { id } = await submit(server, { pipeline: chain });
  const run = await takeRun(worker);
  await run.report(
    { type: "run.started", backend: "process" },
    started("make"),
    succeeded("make", [inlineOutput("out", "live")]),
  );
  await age(server, 1);
  assert.equal((await collectNow(server)).expired, 0);
  assert.match(errorOf(await remove("chain", "operator", "?force=true")).message, /chain#1 needs it and has not ended/);
  assert.match(errorOf(await remove("pinned", "developer")).message, /test-developer pinned it \(the paper\)/);

  const why = fault("exit-nonzero", "1");
  await run.report(
    started("use"),
    { ...(succeeded("use") as object), state: "failed", stepState: "failed", exitCode: 1, fault: why } as never,
    { type: "run.finished", state: "failed", fault: why },
  );
  await age(server, 1);
  assert.equal((await collectNow(server)).expired, 0, "it may be restarted");
  assert.match(errorOf(await remove("chain", "developer")).message, /chain#1 did not succeed, and may be restarted/);
  const restarted = await server.call("developer", { method: "POST", url: `/runs/${id}/restart`, payload: {} });
  assert.equal(restarted.statusCode, 201, restarted.body);
  await age(server, 8);
  assert.equal((await collectNow(server)).expired, 0, "the restart has taken it over and has not ended");
  const shown = await server.call("viewer", { url: "/artifacts/chain/make/out/1/retention" });
  assert.deepEqual(shown.json().items[0].neededBy, [{ run: "chain#2", live: true }]);
  await server.call("developer", { method: "POST", url: "/runs/chain%232/cancel", payload: {} });
  await age(server, 8);
  assert.equal((await collectNow(server)).expired, 1);
  const late = await server.call("developer", { method: "POST", url: `/runs/${id}/restart`, payload: {} });
  assert.deepEqual(errorOf(late).details?.artifacts, [{ artifact: "make/out", why: "expired" }]);

  assert.equal((await remove("pinned", "developer", "?force=true")).statusCode, 403);
  await server.call("developer", { method: "DELETE", url: "/artifacts/pinned/make/out/1/pin" });
  assert.deepEqual((await remove("pinned", "developer")).json(), { items: 1 });
  assert.match(errorOf(await content(server, "pinned", 1)).message, /removed by test-developer\.$/);
  assert.equal((await remove("pinned", "developer")).statusCode, 410);
  await collectNow(server);
  assert.deepEqual(await digestsOf(server), []);
});

test("a version can be given a time of its own, and latest is the newest that is there", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  for (const text of ["1", "2"]) await produce(server, worker, producer("p"), text);
  const expire = async (version: number, until: string | null) =>
    server.call("developer", { method: "PUT", url: `/artifacts/p/make/out/${version}/expiry`, payload: { until } });
  assert.equal((await expire(1, new Date(Date.now() + 90 * 86_400_000).toISOString())).statusCode, 200);
  assert.equal((await expire(2, new Date().toISOString())).statusCode, 200);
  await collectNow(server);
  assert.equal((await content(server, "p", "latest")).body, "1");
  assert.match(errorOf(await content(server, "p", 2)).message, /its own time, set by test-developer/);
  await age(server, 30);
  await server.services.database.pool.query(
    "UPDATE artifact_versions SET kept_until = kept_until - interval '30 days'",
  );
  await collectNow(server);
  assert.deepEqual(await kept(server), ["p/1"]);
  await expire(1, null);
  await collectNow(server);
  assert.deepEqual(await kept(server), []);
});

test("a result that was offered to a run from the cache stays until the run has ended", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const pipeline = producer("p", "retention: 1s").replace("run: x,", "run: x, cache: true,");
  const cache = { key: "ab".repeat(32), components: { command: "x" } };
  await submit(server, { pipeline });
  const first = await takeRun(worker);
  await first.report(
    { type: "run.started", backend: "process" },
    { ...(started("make") as object), cache } as never,
    succeeded("make", [inlineOutput("out", "made")]),
    { type: "run.finished", state: "succeeded", fault: null },
  );
  await submit(server, { pipeline });
  const second = await takeRun(worker);
  const { run, epoch } = second.assignment;
  const look = async () => {
    const lookups = [{ stepRun: "make", key: cache.key, ttlMs: null }];
    return (await worker.call("POST", `/agent/runs/${run}/cache`, { epoch, lookups })).json().hits;
  };
  assert.equal((await look())[0].number, 1);
  await age(server, 1);
  assert.equal((await collectNow(server)).expired, 0);
  const { outputs, ...from } = (await look())[0];
  const named = Object.entries(outputs).map(([name, made]) => ({ name, content: made }));
  const taken = { type: "step.cached", stepRun: "make", cache, from, outputs: named } as never;
  const answer = await second.report({ type: "run.started", backend: "process" }, taken);
  assert.equal(answer.statusCode, 200, answer.body);
  assert.equal((await collectNow(server)).expired, 0);
  await second.report({ type: "run.finished", state: "succeeded", fault: null });
  assert.equal((await collectNow(server)).expired, 1);
  await submit(server, { pipeline });
  const third = await takeRun(worker);
  const missed = await worker.call("POST", `/agent/runs/${third.assignment.run}/cache`, {
    ...{ epoch: 1, lookups: [{ stepRun: "make", key: cache.key, ttlMs: null }] },
  });
  assert.deepEqual(missed.json().hits, [null]);
  await third.report({ type: "run.started", backend: "process" }, { ...(started("make") as object), cache } as never);
  const explained = await server.call("viewer", { url: "/runs/p%233/cache" });
  assert.equal(explained.json().items[0].reason, "expired");
});

test("a source goes with what its run made, not before, and is kept for what will run", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const { blobs } = server.services;
  const upload = async (text: string) => {
    const { digest, size } = inlineOutput("source", text).content;
    await blobs.put(server.project, digest, size, Buffer.from(text));
    return { digest, size };
  };
  const run = async (source: { digest: string; size: number }) => {
    await submit(server, { source });
    assert.equal((await (await takeRun(worker)).report(...chainEvents("text"))).statusCode, 200);
  };
  const [old, newer] = [await upload("old"), await upload("newer")];
  await run(old);
  await run(newer);
  const stray = await upload("never submitted");
  await collectNow(server, { graceMs: 60_000 });
  assert.deepEqual(await blobs.missing(server.project, [old.digest, newer.digest, stray.digest]), []);
  await collectNow(server);
  assert.deepEqual(await blobs.missing(server.project, [old.digest, newer.digest, stray.digest]), [stray.digest]);
  await age(server, 15);
  await collectNow(server);
  assert.deepEqual(
    await blobs.missing(server.project, [old.digest, newer.digest]),
    [old.digest],
    "the newest is used again",
  );
  const restarted = await server.call("developer", {
    method: "POST",
    url: "/runs/chain%231/restart",
    payload: { from: "make" },
  });
  assert.equal(restarted.statusCode, 410, restarted.body);
});
