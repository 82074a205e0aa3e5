import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { pino } from "pino";
import { testDatabase } from "../../../test/setup/database.ts";
import { age, produce, producer } from "../../../test/setup/retention-fixture.ts";
import { runServer } from "../../../test/setup/run-fixture.ts";
import { testWorker } from "../../../test/setup/server.ts";
import { openFolderStore } from "../objects/folder-store.ts";
import { oneStore } from "../objects/object-tiers.ts";
import { startCollector } from "./collect-loop.ts";

test("a server removes by itself what has expired and what was left behind, writes down how much there is, and says so", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "berth-loop-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const { url } = await testDatabase(t);
  const objects = oneStore(openFolderStore(folder));
  const server = await runServer(t, { url, objects });
  const replica = await runServer(t, { url, objects });
  const { pool } = server.services.database;
  await produce(server, await testWorker(server), producer("p"), "text");
  await age(server, 30);
  const stray = `blobs/${server.project}/aa/${"a".repeat(64)}.upl_1`;
  await objects.object.put(stray, [Buffer.from("left by an upload")] as never);
  const { rows } = await pool.query<{ swept: boolean }>("SELECT swept_at > '-infinity' AS swept FROM collector");
  assert.deepEqual(rows, [{ swept: false }]);

  const lines: string[] = [];
  const log = pino({ level: "info" }, { write: (line: string) => void lines.push(line) });
  const times = { firstAfterMs: 1, intervalMs: 20 };
  await using _first = startCollector({ ...server.services, log }, times);
  await using _second = startCollector({ ...replica.services, log }, times);
  const seen = async () => {
    const state = await pool.query<{ live: number; blobs: number; samples: number; swept: boolean }>(
      `SELECT (SELECT count(*)::int FROM artifact_versions WHERE expired_at IS NULL) AS live,
              (SELECT count(*)::int FROM blobs) AS blobs, (SELECT count(*)::int FROM store_samples) AS samples,
              (SELECT swept_at > '-infinity' FROM collector) AS swept`,
    );
    return state.rows[0]!;
  };
  for (let state = await seen(); ; state = await seen()) {
    // The blob's grace began when its version went.
    await pool.query("UPDATE blobs SET unsure_since = unsure_since - interval '2 days'");
    if (state.live === 0 && state.blobs === 0 && state.swept) break;
    assert.ok(!t.signal.aborted, JSON.stringify(state));
    await sleep(10); // Between two looks at the database.
  }
  assert.ok(
    lines.some((line) => /"expired":1,.*removed what has expired/.test(line)),
    lines.join(""),
  );
  assert.ok((await objects.object.stat(stray)) !== null, "it is younger than a day: its upload may go on");
  assert.ok(!lines.some((line) => line.includes("failed")), lines.join(""));
});
