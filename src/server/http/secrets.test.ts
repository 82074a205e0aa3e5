import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { pino } from "pino";
import { CHAIN, chainEvents, runServer, started, submit, takeRun } from "../../../test/setup/run-fixture.ts";
import { type TestServer, type TestWorker, testWorker } from "../../../test/setup/server.ts";
import { createBoxRecipient } from "../../protocol/sealed-box.ts";
import { localRing } from "../keys/key-ring.ts";
import { compileFile } from "../scheduling/compile-file.ts";
import { requireKeys } from "../scheduling/require-keys.ts";
import { requireSecrets } from "../scheduling/require-secrets.ts";
import { SecretValues } from "../scheduling/secret-values.ts";
import { createSealer } from "../sealer.ts";
import { ACCESSES_KEPT } from "../store/secrets.ts";

const CANARY = `canary-${randomBytes(12).toString("hex")}`;
const base64 = (text: string) => Buffer.from(text).toString("base64");

const ringOf = (...keys: Buffer[]) => localRing(createSealer(...keys));

async function set(server: TestServer, name: string, value: string, more: object = {}): Promise<void> {
  const payload = { name, value: base64(value), ...more };
  const answer = await server.call("operator", { method: "POST", url: "/secrets", payload });
  assert.equal(answer.statusCode, 200, answer.body);
}

/** The step `make` of the version that runs names these secrets. */
async function nameSecrets(server: TestServer, ...names: string[]): Promise<void> {
  const secrets = names.map((name) => ({ name, variable: null }));
  await server.services.database.pool.query(
    `UPDATE pipeline_versions SET plan = (SELECT jsonb_set(plan::jsonb, '{steps,0,secrets}', $1::jsonb))::json`,
    [JSON.stringify(secrets)],
  );
}

async function fetchSecrets(worker: TestWorker, run: string, epoch: number, stepRun = "make", more: object = {}) {
  const recipient = createBoxRecipient();
  const body = { epoch, stepRun, attempt: 1, ...more, recipient: recipient.publicKey.toString("base64") };
  const answer = await worker.call("POST", `/agent/runs/${run}/secrets`, body);
  const open = () => {
    const sealed = Buffer.from(answer.json().sealed, "base64");
    const { values } = JSON.parse(recipient.open(sealed, { run, epoch, stepRun, attempt: 1 }).toString());
    return Object.fromEntries(
      Object.entries<string>(values).map(([name, value]) => [name, Buffer.from(value, "base64").toString()]),
    );
  };
  return { answer, open };
}

test("a value goes in, is in no answer, log or row, and comes out sealed for the step that names it alone", async (t) => {
  const lines: string[] = [];
  const log = pino({ level: "trace" }, { write: (line: string) => void lines.push(line) });
  const server = await runServer(t, { log });
  const { pool } = server.services.database;
  await set(server, "TOKEN", CANARY);
  await set(server, "OTHER", `${CANARY}-other`);
  const answers = [
    await server.call("viewer", { url: "/secrets" }),
    await server.call("viewer", { url: "/secrets/TOKEN" }),
    await server.call("operator", { method: "POST", url: "/secrets", payload: { name: CANARY, value: CANARY } }),
    await server.call("developer", { method: "POST", url: "/secrets", payload: { name: "A", value: base64(CANARY) } }),
  ];
  assert.deepEqual(
    answers.map(({ statusCode }) => statusCode),
    [200, 200, 400, 403],
  );
  const worker = await testWorker(server, { name: "holder" });
  await submit(server);
  const { assignment, report } = await takeRun(worker);
  await nameSecrets(server, "TOKEN");
  await report({ type: "run.started", backend: "process" }, started("make"));
  const given = await fetchSecrets(worker, assignment.run, assignment.epoch);
  assert.equal(given.answer.statusCode, 200, given.answer.body);
  assert.deepEqual(given.open(), { TOKEN: CANARY });
  assert.deepEqual((await fetchSecrets(worker, assignment.run, assignment.epoch, "use")).open(), {});
  const shown = (await server.call("viewer", { url: "/secrets/TOKEN" })).json();
  const { at, ...access } = shown.accesses[0];
  assert.equal(at, shown.lastUsedAt);
  assert.deepEqual(access, { run: assignment.run, stepRun: "make", attempt: 1, worker: "holder", version: 1 });
  const masked = await new SecretValues(server.services).secretValuesFor(server.project, assignment.run);
  assert.deepEqual(masked.map(String), [CANARY]);

  const { rows } = await pool.query<{ name: string }>(
    "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'",
  );
  let dump = "";
  for (const { name } of rows) {
    const table = await pool.query<{ text: string | null }>(
      `SELECT string_agg(t::text, chr(10)) AS text FROM "${name}" t`,
    );
    dump += table.rows[0]!.text ?? "";
  }
  assert.ok(dump.includes("TOKEN"), "the scan sees the rows of secrets");
  const forms = [CANARY, base64(CANARY), Buffer.from(CANARY).toString("hex")];
  for (const form of forms) {
    assert.ok(!dump.includes(form), "a value is in the database");
    assert.ok(!lines.join("").includes(form), "a value is in the log");
    for (const answer of [...answers, given.answer]) assert.ok(!answer.body.includes(form), answer.body);
  }
});

test("a build gets the secrets of its environment, and no step gets those, however the environment names them", async (t) => {
  const server = await runServer(t);
  for (const name of ["STEP", "MOUNTED", "INDEX"]) await set(server, name, `value of ${name}`);
  const worker = await testWorker(server);
  await submit(server);
  const { assignment, report } = await takeRun(worker);
  await report({ type: "run.started", backend: "process" }, started("make"));
  const { run, epoch, plan } = assignment;
  await nameSecrets(server, "STEP");
  const { environment } = plan.steps[0]!;
  const ways = {
    MOUNTED: { secrets: [{ name: "MOUNTED", id: "netrc" }] },
    INDEX: { credentials: { "a.example": { user: "ci", secret: "INDEX" }, "b.example": { secret: "INDEX" } } },
  };
  for (const [name, keys] of Object.entries(ways)) {
    await server.services.database.pool.query(
      `UPDATE pipeline_versions SET plan = (SELECT jsonb_set(plan::jsonb, $1, $2::jsonb))::json`,
      [["environments", environment], JSON.stringify(keys)],
    );
    const build = await fetchSecrets(worker, run, epoch, "make", { build: true });
    assert.deepEqual(build.open(), { [name]: `value of ${name}` });
    assert.deepEqual((await fetchSecrets(worker, run, epoch)).open(), { STEP: "value of STEP" });
    const shown = (await server.call("viewer", { url: `/secrets/${name}` })).json();
    assert.equal(shown.accesses[0].run, run, "who got it is written down");
    const masked = await new SecretValues(server.services).secretValuesFor(server.project, run);
    assert.deepEqual(masked.map(String).sort(), ["value of STEP", `value of ${name}`].sort());
  }
});

test("a run whose build could not have the secret for an index is refused, and told where it is named", async (t) => {
  const server = await runServer(t);
  const environment = 'environment: { base: x, python: { packages: [ours] }, credentials: { "a.example": NOSUCH } }';
  const payload = { pipeline: CHAIN.replace(/^environment.*$/m, environment) };
  const answer = await server.call("developer", { method: "POST", url: "/runs", payload });
  assert.equal(answer.json().error.code, "secret_unavailable", answer.body);
  assert.match(answer.body, /environments\.default\.credentials\[\\"a\.example\\"\]/);
});

test("of the attempts that had a secret so many are remembered, and the audit log has all of them", async (t) => {
  const server = await runServer(t);
  const { pool } = server.services.database;
  await set(server, "TOKEN", CANARY);
  await set(server, "OTHER", CANARY);
  const worker = await testWorker(server);
  await submit(server);
  const { assignment, report } = await takeRun(worker);
  await report({ type: "run.started", backend: "process" }, started("make"));
  const { run, epoch } = assignment;
  await nameSecrets(server, "OTHER");
  assert.equal((await fetchSecrets(worker, run, epoch)).answer.statusCode, 200);
  await nameSecrets(server, "TOKEN");
  assert.equal((await fetchSecrets(worker, run, epoch)).answer.statusCode, 200);
  // As many more, and the first one is too many.
  await pool.query(
    `INSERT INTO secret_accesses (project_id, secret_id, name, version, run_id, step_run, attempt, epoch, worker_id)
     SELECT project_id, secret_id, name, version, run_id, step_run, attempt + n, epoch, worker_id
     FROM secret_accesses, generate_series(1, ${ACCESSES_KEPT - 1}) n WHERE name = 'TOKEN'`,
  );
  const same = await Promise.all([fetchSecrets(worker, run, epoch), fetchSecrets(worker, run, epoch)]);
  for (const { answer } of same) assert.equal(answer.statusCode, 200, answer.body);
  assert.equal((await fetchSecrets(worker, run, epoch)).answer.statusCode, 200);
  const kept = await pool.query(
    "SELECT name, count(*)::int, min(id)::int AS first FROM secret_accesses GROUP BY name ORDER BY name",
  );
  const total = ACCESSES_KEPT + 4;
  assert.deepEqual(kept.rows, [
    { name: "OTHER", count: 1, first: 1 },
    { name: "TOKEN", count: ACCESSES_KEPT, first: total - ACCESSES_KEPT + 1 },
  ]);
  const audited = await pool.query("SELECT FROM audit_events WHERE action = 'secret.access' AND subject = 'TOKEN'");
  assert.equal(audited.rows.length, 4);
});

test("a worker without the run gets 404, and the holder stale_epoch once the run has ended or moved on", async (t) => {
  const server = await runServer(t);
  await set(server, "TOKEN", CANARY);
  const holder = await testWorker(server);
  const bystander = await testWorker(server);
  await submit(server);
  const { assignment, report } = await takeRun(holder);
  const { run, epoch } = assignment;
  await nameSecrets(server, "TOKEN");
  const codeOf = async (worker: TestWorker, at = epoch, step = "make") => {
    const { answer } = await fetchSecrets(worker, run, at, step);
    return `${answer.statusCode} ${answer.json().error.code}`;
  };
  assert.equal(await codeOf(bystander), "404 not_found");
  assert.equal(await codeOf(holder, epoch + 1), "409 stale_epoch");
  assert.equal(await codeOf(holder, epoch, "unknown"), "404 not_found");
  assert.equal((await report(...chainEvents())).statusCode, 200);
  assert.equal(await codeOf(holder), "409 stale_epoch");
  const { rows } = await server.services.database.pool.query("SELECT FROM secret_accesses");
  assert.equal(rows.length, 0);
});

test("what is not there, or not for the pipeline, is told by name, to the agent and to who submits", async (t) => {
  const server = await runServer(t);
  const { pool } = server.services.database;
  await set(server, "TOKEN", CANARY, { pipelines: ["another"] });
  const worker = await testWorker(server);
  await submit(server);
  const { assignment, report } = await takeRun(worker);
  await report({ type: "run.started", backend: "process" }, started("make"));
  for (const [name, words] of [
    ["TOKEN", /TOKEN is not for the pipeline chain/],
    ["MISSING", /no secret MISSING/],
  ] as const) {
    await nameSecrets(server, name);
    const { answer } = await fetchSecrets(worker, assignment.run, assignment.epoch);
    assert.equal(answer.statusCode, 422);
    assert.equal(answer.json().error.code, "secret_unavailable");
    assert.match(answer.json().error.message, words);
    const again = await server.call("developer", {
      ...{ method: "POST", url: "/runs" },
      payload: { pipeline: { name: "chain" } },
    });
    assert.equal(again.json().error.code, "secret_unavailable", again.body);
    assert.equal(again.json().error.problems[0].path, "steps.make.secrets[0]");
    assert.match(
      again.json().error.advice,
      /^(Allow it: berth secret allow TOKEN chain|Set it: berth secret set MISSING)$/,
    );
  }
  const { plan } = compileFile(CHAIN, undefined);
  plan.steps[0]!.secrets = [{ name: "TOKEN", variable: "TOKEN" }];
  await assert.rejects(requireSecrets(pool, server.project, plan), { code: "secret_unavailable" });
  const payload = { pipelines: ["chain"] };
  await server.call("operator", { method: "PUT", url: "/secrets/TOKEN/pipelines", payload });
  await requireSecrets(pool, server.project, plan);
  await nameSecrets(server, "TOKEN");
  assert.deepEqual((await fetchSecrets(worker, assignment.run, assignment.epoch)).open(), { TOKEN: CANARY });
});

test("a rotated secret gives its new value; the old one is gone, or kept for masking alone", async (t) => {
  const server = await runServer(t);
  const rotate = async (value: string, keepPrevious: boolean) => {
    const payload = { value: base64(value), keepPrevious };
    return (await server.call("operator", { method: "POST", url: "/secrets/TOKEN/rotate", payload })).json();
  };
  assert.equal((await rotate("early", false)).error.code, "not_found");
  await set(server, "TOKEN", "first");
  const worker = await testWorker(server);
  await submit(server);
  const { assignment } = await takeRun(worker);
  await nameSecrets(server, "TOKEN");
  const values = async () =>
    (await new SecretValues(server.services).secretValuesFor(server.project, assignment.run)).map(String);
  const versions = (secret: { versions: { version: number; current: boolean }[] }) =>
    secret.versions.map(({ version, current }) => `${version}${current ? "*" : ""}`);
  assert.deepEqual(versions(await rotate("second", true)), ["2*", "1"]);
  assert.deepEqual(await values(), ["first", "second"]);
  assert.deepEqual(versions(await rotate("third", true)), ["3*", "2"]);
  assert.deepEqual((await fetchSecrets(worker, assignment.run, assignment.epoch)).open(), { TOKEN: "third" });
  assert.deepEqual(versions(await rotate("fourth", false)), ["4*"]);
  assert.deepEqual(await values(), ["fourth"]);
  assert.equal((await server.call("operator", { method: "DELETE", url: "/secrets/TOKEN" })).statusCode, 204);
  assert.deepEqual((await server.call("viewer", { url: "/secrets" })).json().items, []);
});

test("ciphertext that was moved to another secret, version or project does not open", async (t) => {
  const server = await runServer(t);
  const { pool } = server.services.database;
  await set(server, "TOKEN", "for tokens");
  await set(server, "OTHER", CANARY);
  const worker = await testWorker(server);
  await submit(server);
  const { assignment } = await takeRun(worker);
  await nameSecrets(server, "TOKEN");
  const original = await pool.query(
    "SELECT sealed FROM secret_versions v JOIN secrets s ON s.id = v.secret_id WHERE s.name = 'TOKEN'",
  );
  await pool.query(`UPDATE secret_versions SET sealed = (SELECT sealed FROM secret_versions v JOIN secrets s
    ON s.id = v.secret_id WHERE s.name = 'OTHER') FROM secrets s WHERE s.id = secret_id AND s.name = 'TOKEN'`);
  const { answer } = await fetchSecrets(worker, assignment.run, assignment.epoch);
  assert.equal(answer.statusCode, 422);
  assert.match(answer.body, /does not open with the keys of this server/);
  assert.ok(!answer.body.includes(CANARY));
  const back =
    "UPDATE secret_versions SET sealed = $1, version = $2 WHERE secret_id = (SELECT id FROM secrets WHERE name = 'TOKEN')";
  await pool.query(back, [original.rows[0].sealed, 2]);
  await pool.query("UPDATE secrets SET current_version = 2 WHERE name = 'TOKEN'");
  assert.equal(
    (await fetchSecrets(worker, assignment.run, assignment.epoch)).answer.json().error.code,
    "secret_unavailable",
  );
  await pool.query(back, [original.rows[0].sealed, 1]);
  await pool.query("UPDATE secrets SET current_version = 1 WHERE name = 'TOKEN'");
  assert.deepEqual((await fetchSecrets(worker, assignment.run, assignment.epoch)).open(), { TOKEN: "for tokens" });
});

test("after a rekey the old key is not needed; a server without the right key refuses to start, and loses nothing", async (t) => {
  const [old, newer] = [randomBytes(32), randomBytes(32)];
  const server = await runServer(t, { secretKey: old });
  const { pool } = server.services.database;
  await set(server, "TOKEN", CANARY);
  await requireKeys(pool, ringOf(old), []);
  await assert.rejects(requireKeys(pool, ringOf(newer), []), (error: Error & { advice: string }) => {
    assert.match(error.message, new RegExp(`sealed under ${ringOf(old).newest}`));
    assert.match(error.advice, /Nothing was changed.*BERTH_LOST_KEYS/);
    return true;
  });
  await requireKeys(pool, ringOf(newer), [ringOf(old).newest!]);
  const both = await runServer(t, { url: server.services.database.url, sealer: ringOf(old, newer) });
  const before = await pool.query("SELECT sealed FROM secret_versions");
  const done = await both.call("admin", { method: "POST", url: "/secrets/rekey" });
  assert.deepEqual(done.json(), { key: ringOf(newer).newest, values: 1, triggers: 0, projectsLeft: 0 });
  assert.notDeepEqual((await pool.query("SELECT sealed FROM secret_versions")).rows, before.rows);
  await requireKeys(pool, ringOf(newer), []);
  const after = await runServer(t, { url: server.services.database.url, secretKey: newer });
  const worker = await testWorker(after);
  await submit(after);
  const { assignment } = await takeRun(worker);
  await nameSecrets(after, "TOKEN");
  assert.deepEqual((await fetchSecrets(worker, assignment.run, assignment.epoch)).open(), { TOKEN: CANARY });
});

test("with a key that is lost, rekey says which secrets to set again, a step is told why it gets none, and no log waits", async (t) => {
  const [lost, newer] = [randomBytes(32), randomBytes(32)];
  const before = await runServer(t, { secretKey: lost });
  await set(before, "OLD", CANARY);
  await set(before, "OLDER", CANARY);
  const { url } = before.services.database;
  const server = await runServer(t, { url, secretKey: newer });
  await set(server, "NEW", "readable");
  const worker = await testWorker(server);
  await submit(server);
  const { assignment } = await takeRun(worker);
  await nameSecrets(server, "NEW", "OLD");

  const rekey = () => server.call("admin", { method: "POST", url: "/secrets/rekey" });
  const refused = (await rekey()).json().error;
  assert.equal(refused.code, "secret_unreadable");
  assert.deepEqual(refused.details, { secrets: ["OLD", "OLDER"] });
  assert.match(refused.advice, /Nothing was changed.*berth secret set/);
  const none = (await fetchSecrets(worker, assignment.run, assignment.epoch)).answer.json().error;
  assert.deepEqual([none.code, none.details], ["secret_unavailable", { secret: "OLD" }]);
  const masked = await new SecretValues(server.services).secretValuesFor(server.project, assignment.run);
  assert.deepEqual(masked.map(String), ["readable"]);

  await set(server, "OLD", "again");
  await server.call("operator", { method: "DELETE", url: "/secrets/OLDER" });
  assert.equal((await rekey()).json().values, 2);
  const given = (await fetchSecrets(worker, assignment.run, assignment.epoch)).open();
  assert.deepEqual(given, { NEW: "readable", OLD: "again" });
});
