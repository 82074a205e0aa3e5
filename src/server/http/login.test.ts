import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { logInByBrowser, type TestProvider, testProvider } from "../../../test/setup/oidc-provider.ts";
import { type TestServer, testServer } from "../../../test/setup/server.ts";
import { AuditFacts } from "../../protocol/audit.ts";
import type { FinishLoginRequest } from "../../protocol/login.ts";
import { OidcLogin } from "../login/oidc-login.ts";
import { INSTALLATION, listAudit } from "../store/audit.ts";
import { allRoutes } from "./routes.ts";

const GROUPS = { alice: ["wine-team", "ops"], bob: ["wine-team"], mallory: [] };
const ROLES = [
  { project: "default", role: "operator", group: "ops" },
  { project: "*", role: "viewer", group: "wine-team" },
] as const;
const redirectUri = "http://127.0.0.1:4567/callback";

interface LoginWorld {
  readonly provider: TestProvider;
  readonly server: TestServer;
  /** What `POST /login/finish` takes, once the account logged in at the provider. */
  loggedIn(account: string): Promise<FinishLoginRequest>;
  finish(request: object): ReturnType<TestServer["call"]>;
}

async function world(t: TestContext, options: { readonly codeSeconds?: number } = {}): Promise<LoginWorld> {
  const provider = await testProvider(t, GROUPS, options);
  const login = new OidcLogin({
    ...{ issuer: provider.issuer, clientId: "berth", clientSecret: null, scopes: "openid profile email" },
    ...{ groupsClaim: "groups", roles: ROLES, lifetimeSeconds: 3600 },
  });
  const server = await testServer(t, (services) => allRoutes(services, "test"), { login });
  const loggedIn = async (account: string) => {
    const [codeVerifier, state, nonce] = [random(), random(), random()];
    const codeChallenge = createHash("sha256").update(codeVerifier).digest("base64url");
    const payload = { redirectUri, codeChallenge, state, nonce };
    const begun = await server.call(null, { method: "POST", url: "/login/begin", payload });
    assert.equal(begun.statusCode, 200, begun.body);
    const { search } = await logInByBrowser(begun.json().authorizationUrl, account);
    return { redirectUri, answer: search, codeVerifier, state, nonce, project: "default" };
  };
  const finish = (payload: object) => server.call(null, { method: "POST", url: "/login/finish", payload });
  return { provider, server, loggedIn, finish };
}

const random = () => randomBytes(32).toString("base64url");

test("whoever logs in gets a token with the highest role of their groups, for a while, and ends it by logging out", async (t) => {
  const { server, loggedIn, finish } = await world(t);
  const answer = await finish(await loggedIn("alice"));
  assert.equal(answer.statusCode, 200, answer.body);
  const { token, role, name, project, expiresAt } = answer.json();
  assert.deepEqual([role, name, project], ["operator", "alice@example.com", "default"]);
  const seconds = (Date.parse(expiresAt) - Date.now()) / 1000;
  assert.ok(seconds > 3500 && seconds <= 3600, expiresAt);
  const headers = { authorization: `Bearer ${token}` };
  assert.equal((await server.call(null, { url: "/runs", headers })).statusCode, 200);
  assert.equal((await server.call(null, { url: "/audit", headers })).statusCode, 403);
  assert.equal((await finish(await loggedIn("bob"))).json().role, "viewer");

  assert.equal((await server.call(null, { method: "DELETE", url: "/login", headers })).statusCode, 204);
  assert.equal((await server.call(null, { url: "/runs", headers })).statusCode, 401);
  const page = { chain: server.project, order: "oldest", action: "login", after: null, limit: 10 } as const;
  const events = (await listAudit(server.services.database.pool, page)).map(({ event }) => AuditFacts.parse(event));
  assert.deepEqual(
    events.map(({ action, actor }) => [action, actor.kind, actor.name]),
    [
      ["login.succeed", "person", "alice@example.com"],
      ["login.succeed", "person", "bob@example.com"],
      ["login.end", "token", "alice@example.com"],
    ],
  );
});

test("somebody without a role is let into no project, and one that is not there is answered alike", async (t) => {
  const { server, loggedIn, finish } = await world(t);
  const refused = await finish(await loggedIn("mallory"));
  assert.equal(refused.statusCode, 403);
  assert.match(refused.json().error.message, /mallory@example.com has no role in a project default/);
  const nowhere = await finish({ ...(await loggedIn("bob")), project: "nowhere" });
  assert.equal(nowhere.statusCode, 403);
  const page = { chain: INSTALLATION, order: "oldest", action: "login.deny", after: null, limit: 10 } as const;
  assert.equal((await listAudit(server.services.database.pool, page)).length, 1);
  const { rows } = await server.services.database.pool.query("SELECT FROM api_tokens WHERE created_by = 'login'");
  assert.equal(rows.length, 0);
});

for (const [what, change] of [
  ["another state", (good) => ({ ...good, state: random() })],
  ["another nonce", (good) => ({ ...good, nonce: random() })],
  ["another verifier", (good) => ({ ...good, codeVerifier: random() })],
  ["a made-up code", (good) => ({ ...good, answer: good.answer.replace(/code=[^&]+/, `code=${random()}`) })],
  ["another issuer", (good) => ({ ...good, answer: good.answer.replace(/iss=[^&]+/, "iss=https%3A%2F%2Fevil") })],
  ["another address to go back to", (good) => ({ ...good, redirectUri: redirectUri.replace("4567", "4568") })],
  [
    "that the person refused",
    ({ state, ...good }) => ({ ...good, state, answer: `?error=access_denied&state=${state}` }),
  ],
] as [string, (good: FinishLoginRequest) => object][]) {
  test(`a login with ${what} is not proven`, async (t) => {
    const { loggedIn, finish } = await world(t);
    const answer = await finish(change(await loggedIn("alice")));
    assert.equal(answer.statusCode, 401, answer.body);
    assert.match(answer.json().error.message, /not proven/);
  });
}

test("a login is good for one use", async (t) => {
  const { loggedIn, finish } = await world(t);
  const request = await loggedIn("alice");
  assert.equal((await finish(request)).statusCode, 200);
  assert.equal((await finish(request)).statusCode, 401);
});

test("a login that took too long is not proven", async (t) => {
  const { loggedIn, finish } = await world(t, { codeSeconds: 1 });
  const request = await loggedIn("alice");
  // The provider's clock decides, in whole seconds.
  await sleep(2_100);
  assert.equal((await finish(request)).statusCode, 401);
});

test("an ID token that is signed with a key that the provider does not name is not believed", async (t) => {
  const { provider, loggedIn, finish } = await world(t);
  provider.hideKeys();
  const answer = await finish(await loggedIn("alice"));
  assert.equal(answer.statusCode, 401, answer.body);
});

test("while the provider does not answer a login says so, and works when it is there again", async (t) => {
  const { provider, server, loggedIn, finish } = await world(t);
  const request = await loggedIn("alice");
  await provider.stop();
  const answer = await finish(request);
  assert.equal(answer.statusCode, 503, answer.body);
  assert.match(answer.json().error.message, /identity provider http:\/\/127.0.0.1:\d+ does not answer/);
  assert.equal((await server.call("viewer", { url: "/runs" })).statusCode, 200);
});

test("a server without a provider says so, and only loopback addresses are led back to", async (t) => {
  const server = await testServer(t, (services) => allRoutes(services, "test"));
  const begin = (address: string) => {
    const payload = { redirectUri: address, codeChallenge: random(), state: random(), nonce: random() };
    return server.call(null, { method: "POST", url: "/login/begin", payload });
  };
  assert.equal((await begin(redirectUri)).statusCode, 409);
  for (const address of [
    "http://evil.example/callback",
    "http://127.0.0.1:1@evil.example/callback",
    "http://127.0.0.1:1/x",
  ]) {
    assert.equal((await begin(address)).statusCode, 400, address);
  }
});
