import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { type TestServer, testServer, testToken } from "../../../test/setup/server.ts";
import { ErrorBody } from "../../protocol/errors.ts";
import { SessionCode } from "../../protocol/sessions.ts";
import { allRoutes } from "./routes.ts";

const HOST = "berth.example:7070";
const ORIGIN = `http://${HOST}`;
const SAME = { host: HOST, "sec-fetch-site": "same-origin", origin: ORIGIN };

interface Browser extends TestServer {
  readonly token: string;
  readonly cookie: string;
}

/** A server, and the cookie of a session of a developer. */
async function browser(t: TestContext): Promise<Browser> {
  const server = await testServer(t, (services) => allRoutes(services, "test"));
  const token = await testToken(server.services, "developer", server.project);
  const begun = await begin(server, { token });
  assert.equal(begun.statusCode, 200, begun.body);
  assert.deepEqual(begun.json(), { name: "test-developer", role: "developer", project: "default" });
  const header = String(begun.headers["set-cookie"]);
  assert.match(header, /^berth-7070=brt_[^;]+; Expires=[^;]+; Path=\/; HttpOnly; SameSite=Strict$/);
  return { ...server, token, cookie: header.split(";")[0]! };
}

const begin = (server: TestServer, payload: object, headers: Record<string, string> = SAME) =>
  server.call(null, { method: "POST", url: "/session", payload, headers: { ...headers, host: HOST } });

async function codeOf({ call, token }: Browser): Promise<string> {
  const headers = { authorization: `Bearer ${token}` };
  const made = await call(null, { method: "POST", url: "/session/codes", headers });
  assert.equal(made.statusCode, 201);
  return SessionCode.parse(made.json()).code;
}

const who = (server: TestServer, cookie: string, headers: Record<string, string> = SAME) =>
  server.call(null, { url: "/session", headers: { ...headers, cookie } });

test("a browser is let in by a token, and then by its cookie alone", async (t) => {
  const server = await browser(t);
  const answer = await who(server, `other=1; ${server.cookie}`);
  assert.deepEqual(answer.json(), { name: "test-developer", role: "developer", project: "default" });
  assert.equal((await who(server, "berth-7070=brt_no")).statusCode, 401);
  assert.equal((await who(server, "berth-7071=x")).statusCode, 401);
});

test("over TLS the cookie is one that no other host can set", async (t) => {
  const server = await testServer(t, (services) => allRoutes(services, "test"), { trustedProxies: ["127.0.0.1"] });
  const token = await testToken(server.services, "viewer", server.project);
  const headers = { "x-forwarded-proto": "https", host: HOST, origin: `https://${HOST}` };
  const begun = await server.call(null, { method: "POST", url: "/session", payload: { token }, headers });
  assert.match(String(begun.headers["set-cookie"]), /^__Host-berth=.*; Path=\/; HttpOnly; SameSite=Strict; Secure$/);
});

const FOREIGN: Record<string, Record<string, string>> = {
  "another site": { "sec-fetch-site": "cross-site", origin: "https://evil.example" },
  "another host of the same site": { "sec-fetch-site": "same-site", origin: "http://other.berth.example:7070" },
  "another port": { "sec-fetch-site": "same-site", origin: "http://berth.example:8080" },
  "a browser that only says the origin": { origin: "https://evil.example" },
  "a page without an origin": { origin: "null" },
  "the same site without a page": { "sec-fetch-site": "none" },
};

for (const [what, headers] of Object.entries(FOREIGN)) {
  test(`nothing is written by the cookie from ${what}, and no session is begun`, async (t) => {
    const server = await browser(t);
    const url = "/pipelines/validate";
    const payload = { text: "" };
    const write = await server.call(null, {
      ...{ method: "POST", url, payload },
      headers: { ...headers, host: HOST, cookie: server.cookie },
    });
    assert.deepEqual([write.statusCode, ErrorBody.parse(write.json()).error.code], [403, "forbidden"]);
    assert.equal((await begin(server, { token: server.token }, headers)).statusCode, 403);
    const read = await who(server, server.cookie, { ...headers, host: HOST });
    assert.equal(read.statusCode, what === "the same site without a page" ? 200 : 403);
    // Whoever has the token itself is no page.
    const authorization = `Bearer ${server.token}`;
    const program = await server.call(null, { method: "POST", url, payload, headers: { ...headers, authorization } });
    assert.notEqual(program.statusCode, 403);
  });
}

test("what writes by a cookie proves where it comes from", async (t) => {
  const server = await browser(t);
  const write = (headers: Record<string, string>) =>
    server.call(null, {
      ...{ method: "POST", url: "/pipelines/validate", payload: { text: "" } },
      headers: { ...headers, host: HOST, cookie: server.cookie },
    });
  assert.equal((await write({})).statusCode, 403);
  assert.notEqual((await write(SAME)).statusCode, 403);
  assert.notEqual((await write({ origin: ORIGIN })).statusCode, 403);
});

test("a code lets in once, and not when its time is over", async (t) => {
  const server = await browser(t);
  const code = await codeOf(server);
  const answers = await Promise.all([begin(server, { code }), begin(server, { code })]);
  assert.deepEqual(
    answers.map(({ statusCode }) => statusCode).toSorted((a, b) => a - b),
    [200, 401],
  );
  assert.match(answers.find(({ statusCode }) => statusCode === 401)!.body, /berth ui/);
  const late = await codeOf(server);
  await server.services.database.pool.query("UPDATE session_codes SET expires_at = now()");
  assert.equal((await begin(server, { code: late })).statusCode, 401);
});

test("a session ends with its token, when it is idle for long, and when it is given up", async (t) => {
  const server = await browser(t);
  const { pool } = server.services.database;
  const cookieOf = async () =>
    String((await begin(server, { token: server.token })).headers["set-cookie"]).split(";")[0]!;
  const [given, idle, last] = [await cookieOf(), await cookieOf(), await cookieOf()];

  const ended = await server.call(null, { method: "DELETE", url: "/login", headers: { ...SAME, cookie: given } });
  assert.equal(ended.statusCode, 204);
  assert.match(String(ended.headers["set-cookie"]), /^berth-7070=; Expires=Thu, 01 Jan 1970/);
  assert.equal((await who(server, given)).statusCode, 401);

  const age = "UPDATE api_tokens SET created_at = now() - interval '1 day', last_used_at = now() - interval '13 hours'";
  assert.equal((await who(server, idle)).statusCode, 200);
  await pool.query(`${age} WHERE session_of IS NOT NULL`);
  assert.equal((await who(server, idle)).statusCode, 401);
  await pool.query("UPDATE api_tokens SET last_used_at = now() WHERE session_of IS NOT NULL");
  assert.equal((await who(server, last)).statusCode, 200);

  const parent = await pool.query("SELECT id FROM api_tokens WHERE session_of IS NULL AND role = 'developer'");
  const revoked = await server.call("admin", { method: "DELETE", url: `/tokens/${parent.rows[0].id}` });
  assert.equal(revoked.statusCode, 204);
  assert.equal((await who(server, last)).statusCode, 401);
});

test("a session outlives nothing that it was made from", async (t) => {
  const server = await browser(t);
  const { pool } = server.services.database;
  await pool.query("UPDATE api_tokens SET expires_at = now() + interval '1 hour' WHERE session_of IS NULL");
  const begun = await begin(server, { token: server.token });
  const expires = /Expires=([^;]+)/.exec(String(begun.headers["set-cookie"]))![1]!;
  const hours = (Date.parse(expires) - Date.now()) / 3_600_000;
  assert.ok(hours > 0.9 && hours < 1.1, `${hours} hours`);
});
