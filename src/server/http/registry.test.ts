import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { testServer, testToken, testWorker } from "../../../test/setup/server.ts";
import { BerthError, ErrorBody } from "../../protocol/errors.ts";
import { newId } from "../../protocol/ids.ts";
import { contentDigest, SIGNATURE_MAX_AGE_SECONDS, UNSIGNED_PAYLOAD } from "../../protocol/signature.ts";
import { defineRoute, type Route } from "./route.ts";

const Echo = z.object({ name: z.string(), count: z.int().optional() });

const ROUTES: Route[] = [
  defineRoute({
    method: "POST",
    audit: { none: "it is a test" },
    path: "/echo/:id",
    access: { kind: "role", role: "developer" },
    summary: "Echoes",
    tag: "test",
    schemas: {
      params: z.object({ id: z.string().max(10) }),
      query: z.object({ limit: z.coerce.number().int().optional() }),
      body: z.strictObject({ name: z.string(), count: z.int().optional() }),
      response: Echo,
    },
    handler: async ({ body }) => ({ ...body, secret: "never sent" }),
  }),
  defineRoute({
    method: "GET",
    path: "/project",
    access: { kind: "role", role: "viewer" },
    summary: "The project of the call",
    tag: "test",
    schemas: { response: z.object({ project: z.string() }) },
    handler: async ({ project }) => ({ project }),
  }),
  defineRoute({
    method: "DELETE",
    audit: { none: "it is a test" },
    path: "/nothing",
    access: { kind: "public" },
    summary: "Answers without a body",
    tag: "test",
    schemas: { response: null },
    handler: async () => undefined,
  }),
  defineRoute({
    method: "GET",
    path: "/fails/:how",
    access: { kind: "public" },
    summary: "Fails",
    tag: "test",
    schemas: { params: z.object({ how: z.string() }), response: z.null() },
    handler: async ({ params }) => {
      if (params.how === "berth") throw new BerthError("conflict", "no", { details: { a: 1 } });
      if (params.how === "disk") throw Object.assign(new Error("disk"), { code: "ENOSPC" });
      if (params.how === "answer") return { not: "null" };
      throw new Error("inner secret");
    },
  }),
  defineRoute({
    method: "GET",
    path: "/waits",
    access: { kind: "public" },
    summary: "Waits until it is told to stop",
    tag: "test",
    schemas: { response: z.object({ aborted: z.boolean() }) },
    handler: async ({ signal }) => {
      await new Promise((done) => signal.addEventListener("abort", done));
      return { aborted: signal.aborted };
    },
  }),
  defineRoute({
    method: "POST",
    audit: { none: "it is a test" },
    path: "/agent/echo",
    access: { kind: "agent", boot: "current" },
    summary: "Echoes for agents",
    tag: "test",
    schemas: { body: Echo, response: Echo.extend({ worker: z.string() }) },
    handler: async ({ body, principal }) => ({
      ...body,
      worker: principal.kind === "worker" ? principal.workerId : "",
    }),
  }),
  defineRoute({
    method: "POST",
    audit: { none: "it is a test" },
    path: "/agent/hello",
    access: { kind: "agent", boot: "new" },
    summary: "Takes any boot",
    tag: "test",
    schemas: { response: z.object({ ok: z.boolean() }) },
    handler: async () => ({ ok: true }),
  }),
  defineRoute({
    method: "PUT",
    audit: { none: "it is a test" },
    path: "/agent/bytes/:digest",
    access: { kind: "agent", boot: "current" },
    summary: "Counts bytes",
    tag: "test",
    schemas: { params: z.object({ digest: z.string() }), response: z.object({ bytes: z.int() }) },
    rawBody: { contentType: "application/octet-stream", maxBytes: 1000 },
    handler: async ({ request }) => {
      let bytes = 0;
      for await (const chunk of request.body as AsyncIterable<Buffer>) bytes += chunk.length;
      return { bytes };
    },
  }),
  defineRoute({
    method: "POST",
    audit: { none: "it is a test" },
    path: "/agent/batch",
    access: { kind: "agent", boot: "current" },
    summary: "Counts bytes that are signed",
    tag: "test",
    schemas: { response: z.object({ bytes: z.int() }) },
    rawBody: { contentType: "application/octet-stream", maxBytes: null },
    handler: async ({ request }) => {
      let bytes = 0;
      for await (const chunk of request.body as AsyncIterable<Buffer>) bytes += chunk.length;
      return { bytes };
    },
  }),
];

const routes = () => ROUTES;

function errorOf(response: { json(): unknown }): ErrorBody["error"] {
  return ErrorBody.parse(response.json()).error;
}

test("input is checked, unknown keys are refused with their place, and only declared fields are sent", async (t) => {
  const { call } = await testServer(t, routes);
  const good = await call("developer", { method: "POST", url: "/echo/x?limit=3", payload: { name: "n" } });
  assert.equal(good.statusCode, 200);
  assert.deepEqual(good.json(), { name: "n" });

  const bad = await call("developer", { method: "POST", url: "/echo/x", payload: { name: 7, cuont: 1 } });
  assert.equal(bad.statusCode, 400);
  const error = errorOf(bad);
  assert.equal(error.code, "invalid_request");
  assert.ok(error.problems?.some((problem) => problem.path === "body.name"));
  assert.ok(error.problems?.some((problem) => problem.message.includes("cuont")));

  const query = await call("developer", { method: "POST", url: "/echo/x?lmit=3", payload: { name: "n" } });
  assert.match(errorOf(query).problems?.[0]?.message ?? "", /lmit/);
  const params = await call("developer", { method: "POST", url: "/echo/12345678901", payload: { name: "n" } });
  assert.equal(errorOf(params).problems?.[0]?.path, "params.id");
});

test("a body that is not JSON, of another type, or too large has its own error", async (t) => {
  const { call } = await testServer(t, routes);
  const post = async (payload: string, type = "application/json") =>
    await call("developer", { method: "POST", url: "/echo/x", payload, headers: { "content-type": type } });
  assert.equal(errorOf(await post("{nope")).code, "invalid_body");
  assert.equal(errorOf(await post('{"name": "n", "__proto__": {}}')).code, "invalid_body");
  assert.equal(errorOf(await post("name: n", "text/yaml")).code, "unsupported_media_type");
  assert.equal(errorOf(await post("xx", "application/octet-stream")).code, "unsupported_media_type");
  const large = await post(JSON.stringify({ name: "x".repeat(33 * 1024 * 1024) }));
  assert.equal(large.statusCode, 413);
  assert.equal(errorOf(large).code, "payload_too_large");
});

test("what goes wrong inside is told by its code, without anything of the inside", async (t) => {
  const { call } = await testServer(t, routes);
  const conflict = await call(null, { url: "/fails/berth" });
  assert.equal(conflict.statusCode, 409);
  assert.deepEqual(errorOf(conflict).details, { a: 1 });
  assert.equal(errorOf(await call(null, { url: "/fails/disk" })).code, "storage_full");
  for (const how of ["other", "answer"]) {
    const internal = await call(null, { url: `/fails/${how}` });
    assert.equal(internal.statusCode, 500);
    assert.doesNotMatch(internal.body, /secret|stack|null/);
    assert.equal(errorOf(internal).requestId, internal.headers["berth-request-id"]);
  }
});

test("unknown paths and methods have a JSON error, and 204 has no body", async (t) => {
  const { app, call } = await testServer(t, routes);
  assert.equal(errorOf(await call(null, { url: "/nowhere" })).code, "not_found");
  assert.equal(errorOf(await app.inject({ url: "/" })).code, "not_found");
  const method = await call(null, { method: "PUT", url: "/nothing" });
  assert.equal(method.statusCode, 405);
  assert.equal(method.headers.allow, "DELETE");
  const empty = await call(null, { method: "DELETE", url: "/nothing" });
  assert.equal(empty.statusCode, 204);
  assert.equal(empty.body, "");
});

test("every answer forbids sniffing and storing, and tells the server's time", async (t) => {
  const { call } = await testServer(t, routes);
  for (const url of ["/project", "/nowhere", "/fails/other"]) {
    const { headers } = await call(null, { url });
    assert.equal(headers["x-content-type-options"], "nosniff");
    assert.equal(headers["cache-control"], "no-store");
    assert.ok(Math.abs(Number(headers["berth-server-time"]) - Date.now() / 1000) < 60);
  }
});

test("a route that did not come through the registry cannot be registered", async (t) => {
  const { services } = await testServer(t, routes);
  const { createApp } = await import("./app.ts");
  const app = await createApp(services, ROUTES, { version: "0" });
  t.after(() => app.close());
  assert.throws(() => app.get("/backdoor", async () => "in"), /not registered through the route registry/);
  assert.throws(
    () =>
      app.route({ method: "GET", url: "/backdoor", config: { route: { ...ROUTES[0]! } }, handler: async () => "in" }),
    /not registered through the route registry/,
  );
});

test("the project is the token's own; a token of the whole installation names it in each request", async (t) => {
  const { services, call, project } = await testServer(t, routes);
  const pool = services.database.pool;
  const foreign = newId("project");
  await pool.query("INSERT INTO projects (id, name) VALUES ($1, 'other')", [foreign]);
  const admin = { authorization: `Bearer ${await testToken(services, "admin", null)}` };
  const asked = async (url: string, headers: Record<string, string>) => await call(null, { url, headers });
  assert.deepEqual((await asked("/project", admin)).json(), { project });
  assert.deepEqual((await asked("/project?project=other", admin)).json(), { project: foreign });
  assert.equal((await asked("/project?project=missing", admin)).statusCode, 404);
  assert.equal((await asked("/project?project=../x", admin)).statusCode, 400);
  assert.deepEqual((await call("viewer", { url: "/project" })).json(), { project });
  assert.deepEqual((await call("viewer", { url: "/project?project=default" })).json(), { project });
  assert.equal((await call("viewer", { url: "/project?project=other" })).statusCode, 404);
});

test("a revoked or expired token is refused at once, and its use is noted", async (t) => {
  const { services, call } = await testServer(t, routes);
  const pool = services.database.pool;
  const token = await testToken(services, "viewer", (await pool.query("SELECT id FROM projects")).rows[0].id);
  const headers = { authorization: `Bearer ${token}` };
  assert.equal((await call(null, { url: "/project", headers })).statusCode, 200);
  const used = await pool.query("SELECT last_used_at IS NOT NULL AS used FROM api_tokens WHERE name = 'test-viewer'");
  assert.deepEqual(used.rows, [{ used: true }]);
  await pool.query("UPDATE api_tokens SET expires_at = now()");
  assert.equal((await call(null, { url: "/project", headers })).statusCode, 401);
  await pool.query("UPDATE api_tokens SET expires_at = NULL, revoked_at = now()");
  const refused = await call(null, { url: "/project", headers });
  assert.equal(refused.statusCode, 401);
  assert.equal(refused.headers["www-authenticate"], "Bearer");
});

test("an agent proves itself by its signature over method, path, query, body and boot", async (t) => {
  const server = await testServer(t, routes);
  const worker = await testWorker(server);
  const echo = { name: "n" };
  const good = await worker.call("POST", "/agent/echo", echo);
  assert.deepEqual(good.json(), { name: "n", worker: worker.id });

  const other = await testWorker(server);
  const now = Math.floor(Date.now() / 1000);
  const stale = await worker.call("POST", "/agent/echo", echo, { created: now - SIGNATURE_MAX_AGE_SECONDS - 60 });
  assert.equal(errorOf(stale).code, "signature_expired");
  assert.ok(Math.abs(Number(stale.headers["berth-server-time"]) - now) < 60);
  const future = await worker.call("POST", "/agent/echo", echo, { created: now + SIGNATURE_MAX_AGE_SECONDS + 60 });
  assert.equal(errorOf(future).code, "signature_expired");

  const wrong: Record<string, string>[] = [
    { "signature-input": `berth=();created=${now};keyid="${worker.id}";alg="ed25519"` },
    { signature: `berth=:${Buffer.alloc(64).toString("base64")}:` },
    { "berth-boot": newId("boot") },
    { "content-digest": `sha-256=:${Buffer.alloc(32).toString("base64")}:` },
  ];
  for (const headers of wrong) {
    const refused = await worker.call("POST", "/agent/echo", echo, { headers });
    assert.equal(refused.statusCode, 401, JSON.stringify(headers));
  }
  const impersonated = await other.call("POST", "/agent/echo", echo, {
    headers: { "signature-input": String(good.raw.req.headers["signature-input"]) },
  });
  assert.equal(impersonated.statusCode, 401);
  const query = await worker.call("POST", "/agent/echo?x=1", echo);
  assert.equal(query.statusCode, 400, "a signed unknown parameter is refused as unknown, not as unsigned");
});

test("the body must be the one that was signed", async (t) => {
  const server = await testServer(t, routes);
  const worker = await testWorker(server);
  const of = (body: string) => ({ contentDigest: contentDigest(body) });
  assert.equal((await worker.call("POST", "/agent/echo", { name: "n" }, of('{"name":"m"}'))).statusCode, 401);
  assert.equal((await worker.call("POST", "/agent/hello", undefined, of("x"))).statusCode, 401);
  const bytes = Buffer.from("some bytes");
  const raw = { contentType: "application/octet-stream" };
  assert.deepEqual((await worker.call("POST", "/agent/batch", bytes, raw)).json(), { bytes: bytes.length });
  assert.equal((await worker.call("POST", "/agent/batch", bytes, { ...raw, ...of("other") })).statusCode, 401);
});

test("an unsigned body is taken only where the path has its digest", async (t) => {
  const server = await testServer(t, routes);
  const worker = await testWorker(server);
  const bytes = Buffer.from("some bytes");
  const raw = { contentType: "application/octet-stream", contentDigest: UNSIGNED_PAYLOAD };
  assert.deepEqual((await worker.call("PUT", "/agent/bytes/abc", bytes, raw)).json(), { bytes: bytes.length });
  assert.equal((await worker.call("POST", "/agent/batch", bytes, raw)).statusCode, 401);
  assert.equal(
    (await worker.call("POST", "/agent/echo", { name: "n" }, { contentDigest: UNSIGNED_PAYLOAD })).statusCode,
    401,
  );
  const large = await worker.call("PUT", "/agent/bytes/abc", Buffer.alloc(1001), raw);
  assert.equal(large.statusCode, 413);
});

test("an older boot of a worker is fenced, and a removed worker is unknown", async (t) => {
  const server = await testServer(t, routes);
  const worker = await testWorker(server);
  const bootId = newId("boot");
  const fenced = await worker.call("POST", "/agent/echo", { name: "n" }, { bootId });
  assert.equal(errorOf(fenced).code, "stale_boot");
  assert.equal((await worker.call("POST", "/agent/hello", undefined, { bootId })).statusCode, 200);
  await server.services.database.pool.query("UPDATE workers SET removed_at = now()");
  const unknown = await worker.call("POST", "/agent/hello");
  assert.equal(unknown.statusCode, 401);
  assert.match(errorOf(unknown).advice ?? "", /`berth agent register` with a new token/);
});

test("stopping ends what waits at once", async (t) => {
  const stop = new AbortController();
  const { call } = await testServer(t, routes, { stop: stop.signal });
  const waiting = call(null, { url: "/waits" });
  const deadline = setInterval(() => stop.abort(), 50);
  t.after(() => clearInterval(deadline));
  assert.deepEqual((await waiting).json(), { aborted: true });
});

test("the OpenAPI document names every route with its input, answers, errors and credentials", async (t) => {
  const { app } = await testServer(t, routes);
  const document = (await app.inject({ url: "/api/openapi.json" })).json();
  assert.equal(document.openapi, "3.1.0");
  const operations = Object.entries<Record<string, { operationId: string }>>(document.paths).flatMap(([path, item]) =>
    Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`),
  );
  const expected = ROUTES.map((route) => `${route.method} /api/v1${route.path.replace(/:(\w+)/g, "{$1}")}`);
  assert.deepEqual(operations.sort(), [...expected, "GET /api/openapi.json"].sort());
  const echo = document.paths["/api/v1/echo/{id}"].post;
  assert.equal(echo.operationId, "postEchoId");
  assert.deepEqual(echo.security, [{ token: [] }]);
  assert.ok(echo.responses["401"].content["application/json"].schema.$ref.startsWith("#/components/schemas/Error"));
  assert.deepEqual(Object.keys(echo.requestBody.content), ["application/json"]);
  const bytes = document.paths["/api/v1/agent/bytes/{digest}"].put;
  assert.deepEqual(Object.keys(bytes.requestBody.content), ["application/octet-stream"]);
});
