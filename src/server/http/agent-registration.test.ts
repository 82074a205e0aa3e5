import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { type TestContext, test } from "node:test";
import type { LightMyRequestResponse } from "fastify";
import { testDatabase } from "../../../test/setup/database.ts";
import { TEST_CAPABILITIES, type TestServer, testServer } from "../../../test/setup/server.ts";
import { ErrorBody } from "../../protocol/errors.ts";
import type { Services } from "../services.ts";
import { agentRegistrationRoute } from "./agent-registration.ts";
import { registrationTokenRoutes } from "./registration-tokens.ts";
import { workerRoutes } from "./workers.ts";

const routes = (services: Services) => [
  agentRegistrationRoute(services),
  ...registrationTokenRoutes(services),
  ...workerRoutes(services),
];

const serverOf = (t: TestContext, url?: string) => testServer(t, routes, url === undefined ? {} : { url });

async function makeToken(server: TestServer, body: object = {}): Promise<{ id: string; token: string }> {
  const answer = await server.call("operator", { method: "POST", url: "/registration-tokens", payload: body });
  assert.equal(answer.statusCode, 200, answer.body);
  return answer.json();
}

async function register(server: TestServer, token: string, name: string): Promise<LightMyRequestResponse> {
  return await server.call(null, {
    method: "POST",
    url: "/agent/register",
    headers: { authorization: `Bearer ${token}` },
    payload: {
      name,
      type: "custom",
      publicKey: generateKeyPairSync("ed25519").publicKey.export({ format: "jwk" }).x,
      agentVersion: "1",
      capabilities: TEST_CAPABILITIES,
    },
  });
}

test("a worker gets pool and labels from its token, and is shown as new until it boots", async (t) => {
  const server = await serverOf(t);
  const made = await makeToken(server, { pool: "gpu", labels: ["linux", "zone=a"] });
  const answer = await register(server, made.token, "alpha");
  assert.equal(answer.statusCode, 200, answer.body);
  const { workerId, ...rest } = answer.json();
  const { installation } = server.services;
  assert.deepEqual(rest, { installation, project: server.project, pool: "gpu", labels: ["linux", "zone=a"] });

  const shown = (await server.call("viewer", { url: `/workers/alpha` })).json();
  assert.deepEqual(
    [shown.id, shown.state, shown.pool, shown.labels, shown.backends, shown.held],
    [workerId, "new", "gpu", ["linux", "zone=a"], ["process"], 0],
  );
  const listed = (await server.call("operator", { url: "/registration-tokens" })).json();
  assert.deepEqual([listed.items[0].state, listed.items[0].usedBy], ["used", workerId]);
  assert.ok(!JSON.stringify(listed).includes(made.token));
});

test("a thousand replays of one token, on two replicas at once, register exactly one worker", async (t) => {
  const { url } = await testDatabase(t);
  const replicas = [await serverOf(t, url), await serverOf(t, url)] as const;
  const { token } = await makeToken(replicas[0]);
  // As many at once as the two have connections for, several times over; more would only wait in line.
  const answers: LightMyRequestResponse[] = [];
  const replay = async (client: number) => {
    for (let index = 0; index < 20; index++) {
      answers.push(await register(replicas[client % 2]!, token, `worker-${client}-${index}`));
    }
  };
  await Promise.all(Array.from({ length: 50 }, (_, client) => replay(client)));
  const statuses = answers.map((answer) => answer.statusCode);
  assert.equal(statuses.filter((status) => status === 200).length, 1);
  assert.equal(statuses.filter((status) => status === 401).length, 999);
  const { rows } = await replicas[0].services.database.pool.query("SELECT count(*) FROM workers");
  assert.deepEqual(rows, [{ count: 1 }]);
});

test("a worker that cannot be registered costs no token", async (t) => {
  const server = await serverOf(t);
  await register(server, (await makeToken(server)).token, "alpha");
  const { token } = await makeToken(server);
  const taken = await register(server, token, "alpha");
  assert.equal(taken.statusCode, 409);
  assert.equal(ErrorBody.parse(taken.json()).error.code, "conflict");
  assert.equal((await register(server, token, "../alpha")).statusCode, 400);
  assert.equal((await register(server, token, "beta")).statusCode, 200);
});

test("expired, revoked and unknown tokens register nobody", async (t) => {
  const server = await serverOf(t);
  const pool = server.services.database.pool;
  const expired = await makeToken(server);
  await pool.query("UPDATE registration_tokens SET expires_at = now()");
  const revoked = await makeToken(server);
  const revoking = await server.call("operator", { method: "DELETE", url: `/registration-tokens/${revoked.id}` });
  assert.equal(revoking.statusCode, 204);
  for (const token of [expired.token, revoked.token, "brr_unknown", "brt_wrong-kind"]) {
    assert.equal((await register(server, token, "alpha")).statusCode, 401);
  }
  const { rows } = await pool.query("SELECT count(*) FROM workers");
  assert.deepEqual(rows, [{ count: 0 }]);
  const listed = (await server.call("operator", { url: "/registration-tokens" })).json();
  assert.deepEqual(
    listed.items.map((item: { state: string }) => item.state),
    ["revoked", "expired"],
  );
});

test("a token lives for 15 minutes by the database's clock, unless asked otherwise, and never over a day", async (t) => {
  const server = await serverOf(t);
  await makeToken(server);
  const { rows } = await server.services.database.pool.query(
    "SELECT extract(epoch FROM expires_at - created_at)::int AS seconds FROM registration_tokens",
  );
  assert.deepEqual(rows, [{ seconds: 900 }]);
  const payload = { lifetimeSeconds: 25 * 3600 };
  const long = await server.call("operator", { method: "POST", url: "/registration-tokens", payload });
  assert.equal(long.statusCode, 400);
});
