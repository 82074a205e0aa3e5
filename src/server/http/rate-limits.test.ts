import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { testServer, testWorker } from "../../../test/setup/server.ts";
import { ApiClient } from "../../cli/api/client.ts";
import { listTokens } from "../../cli/api/tokens.ts";
import { newSecretToken } from "../secret-token.ts";
import { NO_RATES, networkOf, type RateConfig } from "./rate-limits.ts";
import { allRoutes } from "./routes.ts";

const limited = (t: TestContext, rates: Partial<RateConfig>) =>
  testServer(t, (services) => allRoutes(services, "test"), { rates: { ...NO_RATES, ...rates } });

test("an API token that asks too often is told when to ask again, and others are not held up", async (t) => {
  const server = await limited(t, { perTokenSecond: 1 });
  for (let n = 0; n < 4; n++) assert.equal((await server.call("viewer", { url: "/runs" })).statusCode, 200);
  const refused = await server.call("viewer", { url: "/runs" });
  assert.equal(refused.statusCode, 429);
  assert.equal(refused.headers["retry-after"], "1");
  assert.match(refused.json().error.message, /token asks too often/);
  assert.equal((await server.call("developer", { url: "/runs" })).statusCode, 200);
});

test("an address that asks too often is refused before anything is looked up; registered workers are not counted", async (t) => {
  const server = await limited(t, { perAddressSecond: 1 });
  for (let n = 0; n < 4; n++) assert.equal((await server.call(null, { url: "/health" })).statusCode, 200);
  const refused = await server.call("viewer", { url: "/runs" });
  assert.equal(refused.statusCode, 429);
  const elsewhere = await server.call("viewer", { url: "/runs", remoteAddress: "192.0.2.7" });
  assert.equal(elsewhere.statusCode, 200, elsewhere.body);
  const worker = await testWorker(server);
  for (let n = 0; n < 20; n++)
    assert.equal((await worker.call("POST", "/agent/heartbeat", { held: [] })).statusCode, 200);
});

test("after many requests that proved nothing an address is refused, with a good token too, and workers are not", async (t) => {
  const server = await limited(t, { perAddressMinuteUnproven: 3 });
  const guess = () => {
    const authorization = `Bearer ${newSecretToken("api").token}`;
    return server.call(null, { url: "/runs", headers: { authorization } });
  };
  for (let n = 0; n < 3; n++) assert.equal((await guess()).statusCode, 401);
  const refused = await guess();
  assert.equal(refused.statusCode, 429);
  assert.equal(refused.headers["retry-after"], "20");
  assert.equal((await server.call("viewer", { url: "/runs" })).statusCode, 429);
  assert.equal((await server.call("viewer", { url: "/runs", remoteAddress: "192.0.2.7" })).statusCode, 200);
  const worker = await testWorker(server);
  assert.equal((await worker.call("POST", "/agent/heartbeat", { held: [] })).statusCode, 200);
});

test("registrations from one address are counted whether they succeed or not", async (t) => {
  const server = await limited(t, { perAddressMinuteUnproven: 2 });
  const statuses: number[] = [];
  for (let n = 0; n < 3; n++) {
    const authorization = `Bearer ${newSecretToken("registration").token}`;
    const answer = await server.call(null, { method: "POST", url: "/agent/register", headers: { authorization } });
    statuses.push(answer.statusCode);
  }
  assert.deepEqual(statuses, [401, 401, 429]);
});

test("a command that is told to wait does so, and goes on", async (t) => {
  const server = await limited(t, { perTokenSecond: 2 });
  const url = await server.app.listen({ host: "127.0.0.1", port: 0 });
  const made = await server.call("admin", { method: "POST", url: "/tokens", payload: { name: "ci", role: "admin" } });
  const api = new ApiClient(() => ({ url, token: made.json().token }));
  let tokens = 0;
  for (let n = 0; n < 10; n++) tokens += (await listTokens(api)).length;
  assert.ok(tokens >= 10);
  const { statusCode } = await server.app.inject({
    ...{ url: "/api/v1/tokens", headers: { authorization: `Bearer ${made.json().token}` } },
  });
  assert.equal(statusCode, 429, "the limit was reached");
});

test("addresses of IPv6 count by the network that one subscriber has", () => {
  assert.equal(networkOf("192.0.2.7"), "192.0.2.7");
  assert.equal(networkOf("::ffff:192.0.2.7"), "::ffff:192.0.2.7");
  assert.equal(networkOf("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2");
  assert.equal(networkOf("2001:db8::6"), "2001:db8:0:0");
  assert.equal(networkOf("::1"), "0:0:0:0");
});

test("whom a proxy asks for is believed of those that are trusted alone", async (t) => {
  const server = await testServer(t, (services) => allRoutes(services, "test"), {
    ...{ rates: { ...NO_RATES, perAddressSecond: 1 }, trustedProxies: ["10.0.0.0/8"] },
  });
  const ask = async (proxy: string, client: string) => {
    const headers = { "x-forwarded-for": client };
    return (await server.call(null, { url: "/health", remoteAddress: proxy, headers })).statusCode;
  };
  for (let n = 0; n < 6; n++) assert.equal(await ask("10.0.0.5", `192.0.2.${n}`), 200);
  const statuses: number[] = [];
  for (let n = 0; n < 6; n++) statuses.push(await ask("198.51.100.1", `192.0.2.${n}`));
  assert.deepEqual(statuses, [200, 200, 200, 200, 429, 429]);
});
