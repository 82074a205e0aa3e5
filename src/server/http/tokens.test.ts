import assert from "node:assert/strict";
import { test } from "node:test";
import { type TestServer, testServer, testToken } from "../../../test/setup/server.ts";
import type { CreatedToken } from "../../protocol/tokens.ts";
import type { Services } from "../services.ts";
import { healthRoutes } from "./health.ts";
import { tokenRoutes } from "./tokens.ts";

const routes = (services: Services) => [...tokenRoutes(services), ...healthRoutes(services, "1")];

async function make(server: TestServer, body: object, headers: Record<string, string> = {}): Promise<CreatedToken> {
  const answer = await server.call(Object.keys(headers).length === 0 ? "admin" : null, {
    method: "POST",
    url: "/tokens",
    payload: body,
    headers,
  });
  assert.equal(answer.statusCode, 200, answer.body);
  return answer.json();
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

test("a token works with its role from the moment it is made until it is revoked, and is shown once", async (t) => {
  const server = await testServer(t, routes);
  const made = await make(server, { name: "ci", role: "viewer" });
  assert.match(made.token, /^brt_[A-Za-z0-9_-]{43}$/);
  assert.equal(made.project, "default");
  const info = await server.call(null, { url: "/info", headers: bearer(made.token) });
  assert.deepEqual(info.json().token, { name: "ci", role: "viewer" });

  const listed = await server.call("admin", { url: "/tokens" });
  assert.ok(!listed.body.includes(made.token));
  const entry = listed.json().items.find(({ id }: { id: string }) => id === made.id);
  assert.equal(entry.createdBy, "test-admin");
  assert.notEqual(entry.lastUsedAt, null);

  const revoked = await server.call("admin", { method: "DELETE", url: `/tokens/${made.id}` });
  assert.equal(revoked.statusCode, 204);
  assert.equal((await server.call(null, { url: "/info", headers: bearer(made.token) })).statusCode, 401);
  assert.equal((await server.call("admin", { method: "DELETE", url: `/tokens/${made.id}` })).statusCode, 404);
});

test("no token is stored in a form that could be used", async (t) => {
  const server = await testServer(t, routes);
  const { token } = await make(server, { name: "ci", role: "viewer" });
  const { rows } = await server.services.database.pool.query(
    "SELECT row_to_json(api_tokens)::text AS row FROM api_tokens",
  );
  for (const { row } of rows) assert.ok(!row.includes(token.slice(4, 30)));
});

test("only an administrator of the whole installation makes and sees tokens of it", async (t) => {
  const server = await testServer(t, routes);
  const body = { name: "root", role: "admin", installation: true };
  const refused = await server.call("admin", { method: "POST", url: "/tokens", payload: body });
  assert.equal(refused.statusCode, 403);
  const root = bearer(await testToken(server.services, "admin", null));
  const made = await make(server, body, root);
  assert.equal(made.project, null);
  const weaker = { ...body, role: "viewer" };
  assert.equal(
    (await server.call(null, { method: "POST", url: "/tokens", payload: weaker, headers: root })).statusCode,
    400,
  );

  const seen = async (headers?: Record<string, string>) =>
    (await server.call(headers ? null : "admin", { url: "/tokens", ...(headers ? { headers } : {}) })).body;
  assert.ok((await seen(root)).includes(made.id));
  assert.ok(!(await seen()).includes(made.id));
  assert.equal((await server.call("admin", { method: "DELETE", url: `/tokens/${made.id}` })).statusCode, 404);
});

test("a token ends by the database's clock after the lifetime that was asked for", async (t) => {
  const server = await testServer(t, routes);
  const made = await make(server, { name: "ci", role: "viewer", lifetimeSeconds: 60 });
  const lifetimeMs = Date.parse(made.expiresAt!) - Date.parse(made.createdAt);
  assert.equal(lifetimeMs, 60_000);
  await server.services.database.pool.query("UPDATE api_tokens SET expires_at = now() WHERE id = $1", [made.id]);
  assert.equal((await server.call(null, { url: "/info", headers: bearer(made.token) })).statusCode, 401);
});
