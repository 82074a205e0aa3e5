import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { test } from "node:test";
import { collectNow } from "../../../test/setup/retention-fixture.ts";
import { inlineOutput, runServer, started, submit, succeeded, takeRun } from "../../../test/setup/run-fixture.ts";
import { testWorker } from "../../../test/setup/server.ts";
import { openFolderStore } from "../objects/folder-store.ts";
import { oneStore } from "../objects/object-tiers.ts";
import { sweepObjects } from "./sweep-objects.ts";

const WORKERS = 4;
const RUNS_EACH = 12;
/** Few, so that the same bytes are committed, let go and committed again all the time. */
const CONTENTS = 6;
/** Some of the contents are objects. */
const OBJECT_MIN_BYTES = 20;

const PIPELINE = `
name: p
environment: { image: busybox }
retention: 1ms
steps:
  make: { run: x, outputs: { out: { path: out.txt } } }
  use: { run: x, inputs: { out: make.out }, outputs: { end: { path: end.txt } } }
`;

test("commits, restarts and several collectors at once: what is shown can be read, and nothing else is left", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "berth-collect-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const objects = { ...oneStore(openFolderStore(folder)), objectMinBytes: OBJECT_MIN_BYTES };
  const server = await runServer(t, { objects });
  const { services, project } = server;
  const { pool } = services.database;
  const stop = new AbortController();
  let expired = 0;
  let blobs = 0;
  const collecting = [0, 1].map(async () => {
    while (!stop.signal.aborted) {
      const pass = await collectNow(server, { rest: 0.5 });
      expired += pass.expired;
      blobs += pass.blobs;
    }
  });

  const contents = Array.from({ length: CONTENTS }, (_, index) => "x".repeat(8 + index * 8) + index);
  const work = async (place: number) => {
    const pipeline = PIPELINE.replace("name: p", `name: p${place}`);
    const worker = await testWorker(server, { name: `w${place}`, pool: `pool${place}` });
    let restarts = 0;
    for (let number = 0; number < RUNS_EACH; number++) {
      const { id } = await submit(server, { pipeline, pool: `pool${place}` });
      const run = await takeRun(worker);
      const text = contents[(number * 7 + place) % CONTENTS]!;
      const made = inlineOutput("out", text);
      const input = { name: "out", stepRun: "make", artifact: "out", digest: made.content.digest };
      // As an agent does that is told that a blob is missing: it uploads it, and reports again.
      const report = async (from: typeof run, ...events: Parameters<typeof run.report>) => {
        for (let tries = 0; tries < 20; tries++) {
          const answer = await from.report(...events);
          if (answer.statusCode === 200) return;
          assert.equal(answer.json().error.code, "missing_blobs", answer.body);
          for (const each of [text, end]) {
            const { digest, size } = inlineOutput("x", each).content;
            await services.blobs.put(project, digest, size, Buffer.from(each));
          }
        }
        assert.fail("the same blobs went missing again and again");
      };
      const end = contents[(number * 5 + place + 1) % CONTENTS]!;
      const { inline: _, ...uploaded } = made;
      await services.blobs.put(project, made.content.digest, made.content.size, Buffer.from(text));
      await report(run, { type: "run.started", backend: "process" }, started("make"), succeeded("make", [uploaded]));
      await report(run, started("use"), succeeded("use", [inlineOutput("end", end)], [input]));
      await report(run, { type: "run.finished", state: "succeeded", fault: null });
      if (number % 4 === 0) {
        const url = `/artifacts/p${place}/use/end/latest/pin`;
        const pin = await server.call("developer", { method: "PUT", url, payload: {} });
        assert.ok(pin.statusCode === 200 || pin.statusCode === 410, pin.body);
      }
      const again = await server.call("developer", {
        ...{ method: "POST", url: `/runs/${id}/restart`, payload: { from: "use" } },
      });
      // What it would take over may have gone right after the run had ended.
      assert.ok(again.statusCode === 201 || again.json().error.details.artifacts[0].why === "expired", again.body);
      if (again.statusCode !== 201) continue;
      restarts += 1;
      const second = await takeRun(worker);
      const { digest } = second.assignment.prior[0]!.outputs.out!;
      const taken = await services.blobs.open(project, digest);
      assert.equal((await buffer(taken!.stream)).toString(), text, "what was taken over can be read");
      await report(
        second,
        { type: "run.started", backend: "process" },
        started("use"),
        succeeded("use", [inlineOutput("end", end)], [input]),
        { type: "run.finished", state: "succeeded", fault: null },
      );
    }
    return restarts;
  };
  const restarts = (await Promise.all(Array.from({ length: WORKERS }, (_, place) => work(place)))).reduce(
    (a, b) => a + b,
  );
  stop.abort();
  await Promise.all(collecting);
  t.diagnostic(`${expired} versions and ${blobs} blobs went meanwhile; ${restarts} restarts`);
  assert.ok(expired > WORKERS * RUNS_EACH && blobs > 0 && restarts > 0);

  // An upload that ended with its process, before it was named.
  await objects.object.put(`blobs/${project}/aa/${"a".repeat(64)}.upl_1`, [randomBytes(30)] as never);
  await collectNow(server);
  const signal = new AbortController().signal;
  await sweepObjects({ ...services, objects }, { project: null, olderThanMs: 0, dryRun: false, signal });
  const kept = await pool.query<{ digest: string }>("SELECT digest FROM artifact_versions WHERE expired_at IS NULL");
  const pinned = await pool.query("SELECT FROM artifact_versions WHERE pinned_at IS NOT NULL");
  assert.equal(pinned.rowCount, kept.rows.length, "what is pinned is there, and nothing else");
  assert.ok(kept.rows.length > 0, "of what was pinned something is there");
  for (const { digest } of kept.rows) await buffer((await services.blobs.open(project, digest))!.stream);
  const expected = [...new Set(kept.rows.map(({ digest }) => digest))].toSorted();
  const rows = await pool.query<{ digest: string; object_key: string | null }>("SELECT * FROM blobs ORDER BY digest");
  assert.deepEqual(
    rows.rows.map(({ digest }) => digest),
    expected,
  );
  const keys: string[] = [];
  for await (const { key } of objects.object.list("")) keys.push(key);
  assert.deepEqual(keys.toSorted(), rows.rows.flatMap(({ object_key: key }) => key ?? []).toSorted());
  const bytes = await pool.query("SELECT FROM blob_bytes");
  assert.equal(bytes.rowCount, expected.length - keys.length);
  const late = await pool.query("SELECT FROM cache_grants");
  assert.equal(late.rowCount, 0);
});
