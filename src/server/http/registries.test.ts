import assert from "node:assert/strict";
import { test } from "node:test";
import { CHAIN, runServer, submit, takeRun } from "../../../test/setup/run-fixture.ts";
import { type TestServer, type TestWorker, testWorker } from "../../../test/setup/server.ts";
import { loginsFor, RegistryLogins } from "../../protocol/registries.ts";
import { createBoxRecipient } from "../../protocol/sealed-box.ts";

async function keep(server: TestServer, host: string, password: string, more: object = {}): Promise<void> {
  const payload = { host, username: "ci", password: Buffer.from(password).toString("base64"), ...more };
  const answer = await server.call("operator", { method: "POST", url: "/registries", payload });
  assert.equal(answer.statusCode, 200, answer.body);
  assert.ok(!answer.body.includes(password) && !answer.body.includes(payload.password));
}

/** The logins that a worker gets for an environment, as `HOST=PASSWORD`, or the code of the refusal. */
async function ask(worker: TestWorker, run: string, epoch: number, environment = "default") {
  const recipient = createBoxRecipient();
  const body = { epoch, environment, recipient: recipient.publicKey.toString("base64") };
  const answer = await worker.call("POST", `/agent/runs/${run}/registries`, body);
  if (answer.statusCode !== 200) return answer.json().error.code as string;
  const box = Buffer.from(answer.json().sealed, "base64");
  const opened = recipient.open(box, { run, epoch, ...loginsFor(environment) });
  return RegistryLogins.parse(JSON.parse(opened.toString())).map(
    ({ host, password }) => `${host}=${Buffer.from(password, "base64").toString()}`,
  );
}

const pipelineOf = (name: string, environment: string) =>
  CHAIN.replace("name: chain", `name: ${name}`).replace("{ image: busybox }", environment);

test("the worker that holds a run gets the logins that its environment needs, and nobody gets others", async (t) => {
  const server = await runServer(t);
  await keep(server, "ghcr.io", "canary-one");
  await keep(server, "docker.io", "canary-hub");
  await keep(server, "registry.example.com:5000", "canary-narrow", { pipelines: ["narrow"] });
  await keep(server, "ghcr.io", "canary-newer");

  const taken = async (name: string, environment: string) => {
    await submit(server, { pipeline: pipelineOf(name, environment) });
    const worker = await testWorker(server);
    const { run, epoch } = (await takeRun(worker)).assignment;
    return { worker, run, epoch };
  };
  const first = await taken("ready", "{ image: ghcr.io/team/tool:1 }");
  assert.deepEqual(await ask(first.worker, first.run, first.epoch), ["ghcr.io=canary-newer"]);
  assert.equal(await ask(first.worker, first.run, first.epoch, "other"), "not_found");
  assert.equal(await ask(first.worker, first.run, first.epoch + 1), "stale_epoch");
  assert.equal(await ask(await testWorker(server), first.run, first.epoch), "not_found");
  const recipe = await taken("recipe", "{ base: python }");
  assert.deepEqual(await ask(recipe.worker, recipe.run, recipe.epoch), ["docker.io=canary-hub"]);
  const own = await taken("own", "{ base: registry.example.com:5000/tool }");
  assert.deepEqual(await ask(own.worker, own.run, own.epoch), [], "it is for another pipeline");
  const narrow = await taken("narrow", "{ base: registry.example.com:5000/tool }");
  assert.deepEqual(await ask(narrow.worker, narrow.run, narrow.epoch), ["registry.example.com:5000=canary-narrow"]);
});

test("logins are sealed like secrets, but are none: not listed as such, encrypted anew with them, removed by host", async (t) => {
  const server = await runServer(t);
  const worker = await testWorker(server);
  await keep(server, "ghcr.io", "canary-of-the-registry");
  assert.deepEqual((await server.call("viewer", { url: "/secrets" })).json().items, []);
  const { pool } = server.services.database;
  const { rows } = await pool.query("SELECT s.*, v.sealed FROM secrets s JOIN secret_versions v ON v.secret_id = s.id");
  assert.ok(!rows.some((row) => Buffer.from(row.sealed).includes("canary") || JSON.stringify(row).includes("canary")));
  const rekeyed = await server.call("admin", { method: "POST", url: "/secrets/rekey" });
  assert.equal(rekeyed.json().values, 1, rekeyed.body);
  await submit(server, { pipeline: pipelineOf("ready", "{ image: ghcr.io/team/tool:1 }") });
  const { run, epoch } = (await takeRun(worker)).assignment;
  assert.deepEqual(await ask(worker, run, epoch), ["ghcr.io=canary-of-the-registry"]);
  const [listed] = (await server.call("viewer", { url: "/registries" })).json().items;
  assert.deepEqual([listed.host, listed.username, listed.pipelines], ["ghcr.io", "ci", null]);
  assert.notEqual(listed.lastUsedAt, null);

  const remove = () => server.call("operator", { method: "DELETE", url: "/registries/ghcr.io" });
  assert.deepEqual([(await remove()).statusCode, (await remove()).statusCode], [204, 404]);
  assert.deepEqual(await ask(worker, run, epoch), []);
});

test("what is no host, a user that no registry could tell from its password, and no password are refused", async (t) => {
  const server = await runServer(t);
  const put = async (host: string, login: object) =>
    (await server.call("operator", { method: "POST", url: "/registries", payload: { host, ...login } })).statusCode;
  const good = { username: "ci", password: "dmFsdWU=" };
  assert.equal(await put("https://ghcr.io", good), 400);
  assert.equal(await put("ghcr.io", { ...good, username: "a:b" }), 400);
  assert.equal(await put("ghcr.io", { ...good, password: "" }), 400);
  assert.equal(await put("ghcr.io", good), 200);
});
