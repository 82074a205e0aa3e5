import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { testServer, testToken } from "../../../test/setup/server.ts";
import { allRoutes } from "../../server/http/routes.ts";
import { runCaptured } from "../testing/run-captured.ts";

test("who changed what is listed and checked at the terminal, and a change of it is found", async (t) => {
  const server = await testServer(t, (services) => allRoutes(services, "test"));
  const url = await server.app.listen({ host: "127.0.0.1", port: 0 });
  const token = await testToken(server.services, "admin", server.project);
  const folder = mkdtempSync(join(tmpdir(), "berth-audit-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const run = (...argv: string[]) => runCaptured(["audit", ...argv, "--server", url, "--token", token]);
  const empty = await run("verify");
  assert.equal(empty.exitCode, 0, empty.stderr);
  for (const name of ["ONE", "TWO"]) {
    const answer = await server.call("operator", {
      ...{ method: "POST", url: "/secrets", payload: { name, value: "dmFsdWU=" } },
    });
    assert.equal(answer.statusCode, 200, answer.body);
  }
  const listed = await run("--since", "1h", "--action", "secret");
  assert.match(listed.stdout, /test-operator +secret\.set +TWO +version=1 +127\.0\.0\.1\n.*secret\.set +ONE/);
  assert.match((await run("--until", "1h")).stderr, /Nothing like that/);
  assert.equal((await run("--since", "yesterday")).exitCode, 2);
  const [first] = (await run("--json", "--limit", "1")).stdout.split("\n");
  assert.equal(JSON.parse(first!).event.subject, "TWO");

  const checkpoint = join(folder, "checkpoint.json");
  writeFileSync(checkpoint, (await run("checkpoint")).stdout);
  const whole = await run("verify", "--checkpoint", checkpoint);
  assert.equal(whole.exitCode, 0, whole.stdout + whole.stderr);
  assert.match(whole.stdout, /✓ 2 events.*\n✓ all that was there .* up to event 2/);
  assert.match((await run("verify")).stdout, /not proven: that none was cut off/);

  const { pool } = server.services.database;
  await pool.query(`ALTER TABLE audit_events DISABLE TRIGGER ALL; DELETE FROM audit_events WHERE sequence = 2;
    UPDATE audit_chains SET sequence = 1, hash = (SELECT hash FROM audit_events)`);
  assert.equal((await run("verify")).exitCode, 0);
  const cut = await run("verify", "--checkpoint", checkpoint);
  assert.equal(cut.exitCode, 1);
  assert.match(cut.stdout, /✗ event 2 of .*: it is gone/);
  await pool.query(`UPDATE audit_events SET event = replace(event::text, 'ONE', 'XXX')::json`);
  const changed = JSON.parse((await run("verify", "--json")).stdout);
  assert.deepEqual([changed.broken.sequence, changed.events], [1, 0]);

  writeFileSync(checkpoint, "{}");
  const none = await run("verify", "--checkpoint", checkpoint);
  assert.equal(none.exitCode, 2);
  assert.match(none.stderr, /is no checkpoint/);
});
