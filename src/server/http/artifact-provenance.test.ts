import assert from "node:assert/strict";
import { createHash, generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { DIAMOND, runDiamond } from "../../../test/setup/lineage-fixture.ts";
import { errorOf, runServer } from "../../../test/setup/run-fixture.ts";
import { type TestServer, testToken, testWorker } from "../../../test/setup/server.ts";
import {
  checkEnvelope,
  type ProvenanceEnvelope,
  ProvenanceKeys,
  type ProvenanceStatement,
  type ResourceDescriptor,
} from "../../protocol/provenance.ts";
import { createSigner } from "../provenance/signer.ts";
import { registerKey } from "../store/provenance.ts";

async function issued(server: TestServer, artifact: string): Promise<ProvenanceEnvelope> {
  const [path, query = ""] = artifact.split("?");
  const answer = await server.call("viewer", { method: "POST", url: `/artifacts/${path}/provenance?${query}` });
  assert.equal(answer.statusCode, 200, answer.body);
  return answer.json();
}

async function keysOf(server: TestServer) {
  const answer = await server.call("viewer", { url: "/provenance/keys" });
  return ProvenanceKeys.parse(answer.json()).items;
}

async function statementOf(server: TestServer, artifact: string): Promise<ProvenanceStatement> {
  const keys = (await keysOf(server)).map(({ publicKey }) => publicKey);
  const checked = checkEnvelope(await issued(server, artifact), keys);
  assert.ok(checked.ok, checked.ok ? "" : checked.why);
  return checked.statement;
}

test("the provenance of a version says how it was made and from what, by digest", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  const run = await runDiamond(server, worker, { items: 3 });
  const { subject, predicate } = await statementOf(server, "wine/report/summary/latest");
  assert.deepEqual(subject, [
    {
      name: "wine/report/summary/1",
      digest: { sha256: createHash("sha256").update("# Wine\n").digest("hex") },
      annotations: { kind: "file", size: 7, fileName: "summary", fileCount: 1, contentType: "text/plain" },
    },
  ]);
  const { buildDefinition, runDetails } = predicate;
  const { installation } = server.services;
  assert.equal(runDetails.builder.id, `berth://${installation}`);
  assert.equal(runDetails.metadata.invocationId, `berth://${installation}/default/runs/${run}/report/1`);
  const { externalParameters: external } = buildDefinition;
  assert.deepEqual(
    [external.pipeline, external.step, external.params, external.source],
    ["wine", "report", { seed: 7 }, null],
  );
  const named = (name: string, of: readonly ResourceDescriptor[]) =>
    of.filter((one) => one.name === name).map(({ uri }) => uri!.split("/").slice(-4).join("/"));
  assert.deepEqual(named("input scores", buildDefinition.resolvedDependencies), [
    "wine/score/scores/1?item=0",
    "wine/score/scores/1?item=1",
    "wine/score/scores/1?item=2",
  ]);
  assert.deepEqual(named("input model", buildDefinition.resolvedDependencies), ["wine/train/model/1"]);
  const item = await statementOf(server, "wine/score/scores/1?item=2");
  assert.equal(item.subject[0]!.name, "wine/score/scores/1?item=2");
  assert.equal(item.predicate.buildDefinition.externalParameters.batchItem, 2);
  assert.ok(DIAMOND.includes("seed"));
});

test("once issued it stays the same bytes, also under a new key; reading issues nothing", async (t) => {
  const server = await runServer(t);
  await runDiamond(server, await testWorker(server));
  const url = "/artifacts/wine/report/summary/1/provenance";
  const before = await server.call("viewer", { url });
  assert.equal(before.statusCode, 404);
  assert.match(errorOf(before).message, /was issued yet/);
  const both = await Promise.all([issued(server, "wine/report/summary/1"), issued(server, "wine/report/summary/1")]);
  assert.deepEqual(both[0], both[1]);

  const next = createSigner(generateKeyPairSync("ed25519").privateKey);
  await registerKey(server.services.database.pool, { id: next.keyId, publicKey: next.publicKey });
  Object.assign(server.services, { signer: next });
  assert.deepEqual(await issued(server, "wine/report/summary/1"), both[0]);
  assert.deepEqual((await server.call("viewer", { url })).json(), both[0]);
  const keys = await keysOf(server);
  assert.deepEqual(
    keys.map(({ current }) => current),
    [false, true],
  );
  assert.equal((await issued(server, "wine/train/model/1")).signatures[0]!.keyid, next.keyId);
  await statementOf(server, "wine/report/summary/1");
});

test("of a thousand items and more the list as a whole has a digest", async (t) => {
  const server = await runServer(t);
  await runDiamond(server, await testWorker(server), { items: 1001 });
  const { resolvedDependencies } = (await statementOf(server, "wine/report/summary/1")).predicate.buildDefinition;
  const scores = resolvedDependencies.filter(({ name }) => name === "input scores");
  assert.equal(scores.length, 1);
  assert.deepEqual(scores[0]!.annotations, { items: 1001 });
  const lines = Array.from({ length: 1001 }, (_, item) => {
    return `${item}\t${createHash("sha256").update(`score ${item}`).digest("hex")}\n`;
  });
  const digest = createHash("sha256").update(lines.toSorted().join("")).digest("hex");
  assert.deepEqual(scores[0]!.digest, { "berth-items-sha256": digest });
});

test("a server without a key says how to give it one, an item has to be chosen, and other projects see nothing", async (t) => {
  const server = await runServer(t, { signer: null });
  await runDiamond(server, await testWorker(server));
  const url = "/artifacts/wine/report/summary/1/provenance";
  const refused = await server.call("viewer", { method: "POST", url });
  assert.equal(refused.statusCode, 409);
  assert.match(errorOf(refused).advice!, /BERTH_PROVENANCE_KEY_FILE/);
  const several = await server.call("viewer", { method: "POST", url: "/artifacts/wine/score/scores/1/provenance" });
  assert.equal(several.statusCode, 400);
  await server.services.database.pool.query("INSERT INTO projects (id, name) VALUES ('prj_other', 'other')");
  const authorization = `Bearer ${await testToken(server.services, "admin", "prj_other")}`;
  assert.equal((await server.call(null, { method: "POST", url, headers: { authorization } })).statusCode, 404);
});
