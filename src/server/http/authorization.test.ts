import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { type TestContext, test } from "node:test";
import type { LightMyRequestResponse } from "fastify";
import {
  CHAIN,
  chainEvents,
  type LeasedRunDriver,
  logBody,
  started,
  submit,
  takeRun,
} from "../../../test/setup/run-fixture.ts";
import { apply, nightly } from "../../../test/setup/schedule-fixture.ts";
import {
  TEST_CAPABILITIES,
  type TestRequest,
  type TestServer,
  type TestWorker,
  testServer,
  testToken,
  testWorker,
} from "../../../test/setup/server.ts";
import { createTrigger, webhookHeaders } from "../../../test/setup/trigger-fixture.ts";
import { encodeBlobBatch } from "../../protocol/blob-batch.ts";
import { newId } from "../../protocol/ids.ts";
import { createBoxRecipient } from "../../protocol/sealed-box.ts";
import type { TriggerWithSecret } from "../../protocol/triggers.ts";
import type { Login } from "../login/login.ts";
import type { DirectTransfers } from "../objects/direct-transfers.ts";
import { openFolderStore } from "../objects/folder-store.ts";
import { type ObjectTiers, oneStore } from "../objects/object-tiers.ts";
import { setRegistry } from "../scheduling/change-registries.ts";
import { setSecret } from "../scheduling/change-secrets.ts";
import { changeVariable } from "../scheduling/change-variables.ts";
import { newSecretToken } from "../secret-token.ts";
import type { Services } from "../services.ts";
import { auditHead } from "../store/audit.ts";
import { putQuota } from "../store/quotas.ts";
import { insertRegistrationToken } from "../store/registration-tokens.ts";
import { putRule } from "../store/retention-rules.ts";
import { ROLES, type Role, type Route } from "./route.ts";
import { allRoutes } from "./routes.ts";

/**
 * Every route of the server × everybody who could call it. A new route is covered by being in `allRoutes`; what it
 * needs to be called with goes into `example`, and the test says so when it is missing.
 */

const BLOB = Buffer.from("the bytes of a blob");
const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");
const md5 = (bytes: Buffer) => createHash("md5").update(bytes).digest("base64");
const DIGEST = sha256(BLOB);
/** Long enough for an object of its own. */
const ANOTHER = Buffer.alloc(1000, "other bytes");
const PUBLIC_KEY = "A".repeat(43);

/** Whoever asks has logged in; login.test.ts is about those who have not. */
const LOGIN: Login = {
  ...{ roles: [{ project: "default", role: "viewer", group: "*" }], lifetimeSeconds: 60 },
  begin: async () => new URL("https://login.example/"),
  finish: async () => ({ subject: "1", name: "somebody", groups: [] }),
};

interface World {
  readonly server: TestServer;
  readonly other: string;
  /** Of the project `default`: one run that ended, and one that `holder` holds. */
  readonly ended: string;
  readonly held: LeasedRunDriver;
  readonly holder: TestWorker;
  readonly bystander: TestWorker;
  readonly foreignWorker: TestWorker;
  readonly trigger: TriggerWithSecret;
  readonly otherTrigger: TriggerWithSecret;
  readonly tokenId: string;
  readonly registrationTokenId: string;
  readonly registrationToken: string;
  /** The id that an unfinished upload is given: see ensureUpload. */
  readonly upload: string;
  readonly tokens: Map<string, Promise<string>>;
}

/** What a route is called with; `params` that it names are filled in from here. */
interface Example {
  readonly params?: Record<string, string>;
  readonly query?: string;
  /** Made from the boot that calls, where a worker does. */
  readonly body?: object | ((bootId: string) => object);
  readonly bytes?: Buffer;
  /** Before each call: makes again what an earlier one has used up. */
  readonly prepare?: () => Promise<unknown>;
}

async function example(route: Route, world: World): Promise<Example> {
  const { run, epoch } = world.held.assignment;
  const boot = { agentVersion: "1", apiVersion: 1, capabilities: TEST_CAPABILITIES, held: [] };
  const registration = { name: "newcomer", type: "local", publicKey: PUBLIC_KEY, agentVersion: "1" };
  const chunk = { stepRun: "make", attempt: 1, stream: "stdout", offset: 0, text: "hello\n" } as const;
  const said = { stepRun: "make", attempt: 1, at: new Date().toISOString() };
  const metric = { ...said, n: 0, name: "auc", value: 0.9, step: null };
  const image = { type: "image.ready", environment: "default", image: "busybox", digest: null, cached: true };
  const event = { seq: 3, at: new Date().toISOString(), body: { ...image, durationMs: 1 } };
  const loginSecrets = { redirectUri: "http://127.0.0.1:1/callback", state: PUBLIC_KEY, nonce: PUBLIC_KEY };
  const examples: Record<string, Example> = {
    "POST /login/begin": { body: { ...loginSecrets, codeChallenge: PUBLIC_KEY } },
    "POST /login/finish": { body: { ...loginSecrets, answer: "?code=1", codeVerifier: PUBLIC_KEY } },
    "POST /session": { body: { token: await testToken(world.server.services, "viewer", world.server.project) } },
    "POST /tokens": { body: { name: "ci", role: "viewer" } },
    "DELETE /tokens/:token": { params: { token: world.tokenId } },
    "POST /registration-tokens": { body: {} },
    "DELETE /registration-tokens/:token": { params: { token: world.registrationTokenId } },
    "GET /workers/:worker": { params: { worker: world.holder.id } },
    "POST /workers/:worker/drain": { params: { worker: world.holder.id } },
    "POST /workers/:worker/undrain": { params: { worker: world.holder.id } },
    "DELETE /workers/:worker": { params: { worker: world.bystander.id } },
    "POST /agent/register": { body: { ...registration, capabilities: TEST_CAPABILITIES } },
    "POST /agent/runs/:run/blobs/missing": { body: { epoch, digests: [DIGEST] } },
    "PUT /agent/runs/:run/blobs/:digest": { query: `epoch=${epoch}`, bytes: BLOB },
    "GET /agent/runs/:run/blobs/:digest": { query: `epoch=${epoch}` },
    "POST /agent/runs/:run/blobs": {
      query: `epoch=${epoch}`,
      bytes: encodeBlobBatch([{ digest: DIGEST, bytes: BLOB }]),
    },
    "POST /agent/runs/:run/blobs/read": { body: { epoch, digests: [DIGEST] } },
    "POST /blobs/missing": { body: { digests: [DIGEST] } },
    "PUT /blobs/:digest": { bytes: BLOB },
    "POST /agent/runs/:run/uploads": { body: { epoch, digest: sha256(ANOTHER), size: ANOTHER.length } },
    "GET /agent/runs/:run/uploads/:upload": { query: `epoch=${epoch}`, prepare: () => ensureUpload(world, "agent") },
    "PUT /agent/runs/:run/uploads/:upload": {
      ...{ query: `epoch=${epoch}&offset=0`, bytes: ANOTHER },
      prepare: () => ensureUpload(world, "agent"),
    },
    "POST /agent/runs/:run/uploads/:upload/parts": {
      body: { epoch, parts: [{ number: 1, size: ANOTHER.length, md5: md5(ANOTHER) }] },
      prepare: () => ensureUpload(world, "direct"),
    },
    "POST /agent/runs/:run/uploads/:upload/finish": { body: { epoch }, prepare: () => ensureUpload(world, "whole") },
    "GET /agent/runs/:run/blobs/:digest/place": { query: `epoch=${epoch}` },
    "POST /uploads": { body: { digest: sha256(ANOTHER), size: ANOTHER.length } },
    "GET /uploads/:upload": { prepare: () => ensureUpload(world, "people") },
    "PUT /uploads/:upload": { query: "offset=0", bytes: ANOTHER, prepare: () => ensureUpload(world, "people") },
    "POST /uploads/:upload/finish": { prepare: () => ensureUpload(world, "whole people") },
    "POST /pipelines/validate": { body: { text: CHAIN } },
    "POST /runs": { body: { pipeline: CHAIN.replace("name: chain", "name: another") } },
    "POST /runs/cancel": { body: { runs: ["chain#2"] } },
    "POST /runs/restart": { body: { runs: ["chain#1"], from: "use" } },
    "GET /runs/:run/logs/search": { query: "q=hello" },
    "POST /runs/:run/restart": { body: { from: "use" } },
    "POST /runs/:run/cancel": { params: { run }, body: {} },
    "POST /schedules/apply": { body: { pipeline: CHAIN } },
    "POST /schedules/:pipeline/:schedule/pause": { body: {} },
    "DELETE /schedules/:pipeline/:schedule": { prepare: () => apply(world.server, nightly()) },
    "POST /triggers": { body: { name: "another", pipeline: CHAIN }, prepare: () => removeTriggers(world, "another") },
    "PUT /triggers/:trigger": { body: { pipeline: CHAIN, params: {} } },
    "POST /triggers/:trigger/rotate": { body: {} },
    "POST /triggers/:trigger/pause": { body: {} },
    "DELETE /triggers/:trigger": { prepare: () => ensureTrigger(world) },
    "POST /hooks/:trigger": { params: { trigger: world.trigger.id }, body: { ref: "main" } },
    "POST /secrets": { body: { name: "ANOTHER", value: "dmFsdWU=" } },
    "POST /secrets/:secret/rotate": { body: { value: "dmFsdWU=" } },
    "PUT /secrets/:secret/pipelines": { body: { pipelines: ["chain"] } },
    "DELETE /secrets/:secret": { prepare: () => ensureSecret(world) },
    "POST /registries": { body: { host: "quay.io", username: "ci", password: "dmFsdWU=" } },
    "DELETE /registries/:host": { prepare: () => ensureRegistry(world) },
    "POST /agent/runs/:run/registries": {
      body: { epoch, environment: "default", recipient: createBoxRecipient().publicKey.toString("base64") },
    },
    "PUT /variables/:variable": { body: { value: "eu" } },
    "DELETE /variables/:variable": { prepare: () => ensureVariable(world) },
    "POST /agent/runs/:run/secrets": {
      body: { epoch, stepRun: "make", attempt: 1, recipient: createBoxRecipient().publicKey.toString("base64") },
    },
    "POST /cache/plan": { body: { pipeline: CHAIN } },
    "PUT /artifacts/:pipeline/:step/:name/:version/pin": { body: {} },
    "DELETE /artifacts/:pipeline/:step/:name/:version/pin": { prepare: () => pinContents(world) },
    "PUT /artifacts/:pipeline/:step/:name/:version/expiry": { body: { until: null } },
    "DELETE /artifacts/:pipeline/:step/:name/:version": { prepare: () => returnContents(world) },
    "GET /artifacts/:pipeline/:step/:name/:version/provenance": { prepare: () => issueProvenance(world) },
    "POST /artifacts/:pipeline/:step/:name/:version/tags": { body: { set: { team: "ml" } } },
    "POST /store/verify": { body: {} },
    "PUT /store/quotas": { body: { pipeline: null, maxBytes: null, maxArtifactBytes: null } },
    "DELETE /store/quotas": { prepare: () => ensureQuota(world) },
    "POST /store/collect": { body: {} },
    "PUT /store/rules": { body: { scope: "project", rule: { keepMs: null, last: null } } },
    "DELETE /store/rules": { query: "scope=project", prepare: () => ensureRule(world) },
    "POST /agent/runs/:run/cache": { body: { epoch, lookups: [{ stepRun: "make", key: DIGEST, ttlMs: null }] } },
    "POST /agent/boot": { body: (bootId) => ({ ...boot, bootId }) },
    "POST /agent/heartbeat": { body: { held: [] } },
    "POST /agent/poll": { body: { freeSlots: 0, held: [], knownCancels: [], waitMs: 0 } },
    "POST /agent/runs/:run/events": { body: { epoch, events: [event] } },
    "POST /agent/runs/:run/messages": {
      body: {
        epoch,
        progress: [{ ...said, done: 1, total: 2, message: null, position: 0 }],
        metrics: [metric],
        usage: [],
      },
    },
    "POST /agent/runs/:run/logs": { bytes: await logBody(epoch, [chunk]) },
  };
  const found = examples[keyOf(route)] ?? {};
  const params: Record<string, string> = {
    run: route.access.kind === "agent" ? run : world.ended,
    digest: DIGEST,
    pipeline: "chain",
    schedule: "nightly",
    trigger: "push",
    secret: "TOKEN",
    variable: "REGION",
    host: "ghcr.io",
    upload: world.upload,
    name: route.path.startsWith("/artifacts") ? "text" : "chain",
    step: "make",
    version: "1",
    ...found.params,
  };
  for (const [name] of paramsOf(route))
    assert.ok(params[name], `say what :${name} of ${keyOf(route)} is, in this test`);
  const needsBody = route.schemas.body !== undefined || route.rawBody !== undefined;
  assert.ok(
    !needsBody || found.body !== undefined || found.bytes !== undefined,
    `give ${keyOf(route)} a body, in this test`,
  );
  return { ...found, params };
}

/** Reading answers only with what was issued. */
async function issueProvenance({ server }: World): Promise<void> {
  const answer = await server.call("viewer", { method: "POST", url: "/artifacts/chain/make/text/1/provenance" });
  assert.equal(answer.statusCode, 200, answer.body);
}

/** Makes the unfinished upload that the example names. */
async function ensureUpload(world: World, kind: "agent" | "direct" | "whole" | "people" | "whole people") {
  const { server, holder, upload } = world;
  const { project } = server;
  const { uploads, database } = server.services;
  const { rows } = await database.pool.query<{ id: string }>("SELECT id FROM api_tokens LIMIT 1");
  const isPeople = kind.endsWith("people");
  const sender = { project, owner: isPeople ? rows[0]!.id : holder.id, kind: isPeople ? "token" : "worker" } as const;
  const digest = sha256(ANOTHER);
  await database.pool.query("DELETE FROM uploads");
  await database.pool.query("DELETE FROM blobs WHERE digest = $1", [digest]);
  const via = kind === "direct" ? "any" : "server";
  const begun = await uploads.begin(sender, { digest, size: ANOTHER.length, via });
  assert.equal(begun.way, kind === "direct" ? "direct" : "server");
  await database.pool.query("UPDATE uploads SET id = $1", [upload]);
  if (!kind.startsWith("whole")) return;
  const append = { offset: 0, length: ANOTHER.length, bytes: Readable.from([ANOTHER]), stillAllowed: async () => {} };
  await uploads.append(sender, upload, append);
}

/** A folder that also seems to be reachable by itself. */
function objectsOf(folder: string): ObjectTiers {
  const store = openFolderStore(folder);
  const request = async () => ({
    ...{ method: "PUT", url: "https://store.example/", headers: {} },
    expiresAt: new Date(Date.now() + 60_000),
  });
  const limits = { partMinBytes: 5, partMaxBytes: 2 ** 30, partsMax: 10_000, writeMaxBytes: 2 ** 30 };
  const direct = { ...limits, writeUrl: request } as unknown as DirectTransfers;
  return { ...oneStore({ ...store, direct }), objectMinBytes: ANOTHER.length };
}

async function removeTriggers({ server }: World, name: string): Promise<void> {
  await server.services.database.pool.query("DELETE FROM triggers WHERE name = $1", [name]);
}

/** As if what was removed had not been. */
async function returnContents({ server }: World): Promise<void> {
  await server.services.database.pool.query("UPDATE artifact_versions SET expired_at = NULL");
}

async function pinContents({ server }: World): Promise<void> {
  await server.services.database.pool.query("UPDATE artifact_versions SET pinned_at = now(), pinned_by = 'test'");
}

async function ensureQuota({ server, other }: World): Promise<void> {
  const quota = { pipeline: null, maxBytes: null, maxArtifactBytes: null };
  for (const project of [server.project, other]) await putQuota(server.services.database.pool, project, quota, "test");
}

async function ensureRule({ server, other }: World): Promise<void> {
  const rule = { keepMs: null, last: null };
  for (const project of [server.project, other]) {
    await putRule(server.services.database.pool, { project, scope: "project", subject: "" }, rule, "test");
  }
}

async function ensureSecret({ server }: World): Promise<void> {
  const keeper = { project: server.project, by: "test" };
  await setSecret(server.services, keeper, { name: "TOKEN", value: "dmFsdWU=" });
}

async function ensureRegistry({ server }: World): Promise<void> {
  const keeper = { project: server.project, by: "test" };
  await setRegistry(server.services, keeper, { host: "ghcr.io", username: "ci", password: "dmFsdWU=" });
}

async function ensureVariable({ server }: World): Promise<void> {
  await changeVariable(server.services, { project: server.project, by: "test" }, { name: "REGION", value: "eu" });
}

async function ensureTrigger({ server }: World): Promise<void> {
  const { rowCount } = await server.services.database.pool.query("SELECT FROM triggers WHERE name = 'push'");
  if (rowCount === 0) await createTrigger(server, "push");
}

const keyOf = (route: Route) => `${route.method} ${route.path}`;

/** Parameters by name, and whether they name something that exists in one project only. */
function paramsOf(route: Route): [name: string, isObject: boolean][] {
  const names = [...route.path.matchAll(/:([A-Za-z]+)/g)].map((match) => match[1]!);
  // Whoever uploads a blob names it by what it holds; a variable that is not there is made by its name.
  const makes = route.method === "PUT" && (names.includes("digest") || names.includes("variable"));
  return names.map((name) => [name, !(makes && (name === "digest" || name === "variable"))]);
}

async function makeWorld(t: TestContext): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), "berth-access-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const server = await testServer(t, (services) => allRoutes(services, "test"), {
    objects: objectsOf(folder),
    login: LOGIN,
  });
  const { services, project } = server;
  const other = newId("project");
  await services.database.pool.query("INSERT INTO projects (id, name) VALUES ($1, 'other')", [other]);
  await services.blobs.put(project, DIGEST, BLOB.length, BLOB);
  await apply(server, nightly());
  const trigger = await createTrigger(server, "push");
  const otherTrigger = await createTrigger(server, "pull");
  await setSecret(services, { project, by: "test" }, { name: "TOKEN", value: "dmFsdWU=" });
  const holder = await testWorker(server, { name: "holder" });
  const first = await submit(server);
  const ended = await takeRun(holder);
  assert.equal((await ended.report(...chainEvents())).statusCode, 200);
  await submit(server);
  const held = await takeRun(holder);
  assert.equal((await held.report({ type: "run.started", backend: "process" }, started("make"))).statusCode, 200);
  const bystander = await testWorker(server, { name: "bystander" });
  const foreignWorker = await testWorker(server, { name: "foreign", project: other });
  await testToken(services, "viewer", project);
  const { rows } = await services.database.pool.query<{ id: string }>(
    "SELECT id FROM api_tokens ORDER BY id DESC LIMIT 1",
  );
  const registration = await makeRegistrationToken(services, project);
  return {
    server,
    other,
    ended: first.id,
    held,
    holder,
    bystander,
    foreignWorker,
    trigger,
    otherTrigger,
    tokenId: rows[0]!.id,
    registrationTokenId: registration.id,
    registrationToken: registration.token,
    upload: newId("upload"),
    tokens: new Map(),
  };
}

async function makeRegistrationToken(services: Services, project: string): Promise<{ id: string; token: string }> {
  const { token, hash } = newSecretToken("registration");
  const id = newId("registrationToken");
  const settings = { pool: "default", labels: [], createdBy: "test", lifetimeSeconds: 900 };
  await insertRegistrationToken(services.database.pool, { id, project, hash, ...settings });
  return { id, token };
}

/** `foreign` is let in, and must see nothing of the project `default`. */
type Expected = "allowed" | "foreign" | 400 | 401 | 403 | 404 | 409;

interface Cell {
  readonly caller: string;
  readonly expected: Expected;
  call(): Promise<LightMyRequestResponse>;
}

/** Those who are refused come first: the others may use up or change what the example names. */
async function cellsOf(route: Route, world: World, given: Example): Promise<Cell[]> {
  const { server, other } = world;
  const path = route.path.replace(/:([A-Za-z]+)/g, (_, name: string) => encodeURIComponent(given.params![name]!));
  const url = given.query === undefined ? path : `${path}?${given.query}`;
  const contentType = route.rawBody?.contentType ?? "application/json";
  const payloadOf = (bootId: string): Buffer | object | undefined =>
    given.bytes ?? (typeof given.body === "function" ? given.body(bootId) : given.body);
  const send = async (token: string | null, more = ""): Promise<LightMyRequestResponse> => {
    await given.prepare?.();
    const payload = payloadOf(newId("boot"));
    const type: Record<string, string> = payload === undefined ? {} : { "content-type": contentType };
    const request: TestRequest = {
      method: route.method,
      url: more === "" ? url : `${url}${url.includes("?") ? "&" : "?"}${more}`,
      headers: { ...type, ...(token === null ? {} : { authorization: `Bearer ${token}` }) },
      ...(payload === undefined ? {} : { payload }),
    };
    return await server.call(null, request);
  };
  const sign = async (worker: TestWorker, bootId = worker.bootId): Promise<LightMyRequestResponse> => {
    await given.prepare?.();
    return await worker.call(route.method as "POST", url, payloadOf(bootId), { contentType, bootId });
  };
  const signWebhook = async ({ secret }: TriggerWithSecret): Promise<LightMyRequestResponse> => {
    await given.prepare?.();
    const payload = payloadOf(newId("boot"));
    const body =
      payload === undefined || Buffer.isBuffer(payload) ? (payload ?? Buffer.alloc(0)) : JSON.stringify(payload);
    const type: Record<string, string> = payload === undefined ? {} : { "content-type": contentType };
    const headers = { ...type, ...webhookHeaders(secret, Buffer.from(body)) };
    return await server.call(null, {
      ...{ method: route.method, url, headers },
      ...(payload === undefined ? {} : { payload: body }),
    });
  };
  const tokenOf = async (role: Role, project: string | null): Promise<string> => {
    const key = `${role} ${project}`;
    const known = world.tokens.get(key) ?? testToken(server.services, role, project);
    world.tokens.set(key, known);
    return await known;
  };

  const cells: Cell[] = [
    { caller: "anonymous", expected: anybody(route), call: () => send(null) },
    { caller: "a made-up token", expected: anybody(route), call: () => send(newSecretToken("api").token) },
    {
      caller: "a made-up registration token",
      expected: anybody(route),
      call: () => send(newSecretToken("registration").token),
    },
    { caller: "a stale boot", expected: staleBoot(route), call: () => sign(world.holder, newId("boot")) },
    {
      caller: "a worker of another project",
      expected: byWorker(route, "foreign"),
      call: () => sign(world.foreignWorker),
    },
    { caller: "a worker without the run", expected: byWorker(route, "bystander"), call: () => sign(world.bystander) },
  ];
  for (const role of [...ROLES].reverse()) {
    const own = await tokenOf(role, server.project);
    const foreign = await tokenOf(role, other);
    cells.push(
      { caller: `${role} of another project`, expected: byToken(route, role, "foreign"), call: () => send(foreign) },
      {
        caller: `${role} naming another project`,
        expected: namingAnother(route),
        call: () => send(own, "project=other"),
      },
    );
    if (role !== "admin") cells.push({ caller: role, expected: byToken(route, role, "own"), call: () => send(own) });
  }
  const installation = await tokenOf("admin", null);
  const admin = await tokenOf("admin", server.project);
  cells.push(
    {
      caller: "admin of the installation in the other project",
      expected: byToken(route, "admin", "foreign"),
      call: () => send(installation, route.access.kind === "role" ? "project=other" : ""),
    },
    {
      caller: "who signs with the secret of another trigger",
      expected: anybody(route),
      call: () => signWebhook(world.otherTrigger),
    },
    {
      caller: "who signs with the trigger's secret",
      expected: route.access.kind === "webhook" ? "allowed" : anybody(route),
      call: () => signWebhook(world.trigger),
    },
    { caller: "a registration token", expected: byRegistration(route), call: () => send(world.registrationToken) },
    { caller: "the worker that holds the run", expected: byWorker(route, "holder"), call: () => sign(world.holder) },
    { caller: "admin", expected: byToken(route, "admin", "own"), call: () => send(admin) },
  );
  return cells;
}

/** Where nobody in particular is asked for, everybody is served. */
function anybody({ access }: Route): Expected {
  return access.kind === "public" ? "allowed" : 401;
}

function byToken(route: Route, role: Role, project: "own" | "foreign"): Expected {
  const { access } = route;
  if (access.kind !== "role") return anybody(route);
  if (ROLES.indexOf(role) > ROLES.indexOf(access.role)) return 403;
  if (project === "own") return "allowed";
  return paramsOf(route).some(([, isObject]) => isObject) ? 404 : "foreign";
}

/** Only where API tokens are asked for is there a project to name: elsewhere the parameter is unknown. */
function namingAnother(route: Route): Expected {
  if (route.access.kind === "role") return 404;
  return route.access.kind === "public" ? 400 : 401;
}

function byWorker(route: Route, which: "holder" | "bystander" | "foreign"): Expected {
  if (route.access.kind !== "agent") return anybody(route);
  if (which === "holder") return "allowed";
  if (paramsOf(route).some(([, isObject]) => isObject)) return 404;
  return which === "foreign" ? "foreign" : "allowed";
}

function staleBoot(route: Route): Expected {
  if (route.access.kind !== "agent") return anybody(route);
  return route.access.boot === "current" ? 409 : "allowed";
}

function byRegistration(route: Route): Expected {
  return route.access.kind === "registration" ? "allowed" : anybody(route);
}

function check(cell: Cell, answer: LightMyRequestResponse, world: World): void {
  const { statusCode, body } = answer;
  const said = `${cell.caller}: ${statusCode} ${body.slice(0, 300)}`;
  if (typeof cell.expected === "number") assert.equal(statusCode, cell.expected, said);
  else assert.ok(statusCode >= 200 && statusCode < 300, said);
  if (cell.expected !== "foreign") return;
  const secrets = [world.ended, world.held.assignment.run, world.holder.id, world.bystander.id, world.tokenId];
  for (const id of secrets) assert.ok(!body.includes(id), `${cell.caller} was shown ${id} of another project`);
}

/** The worker itself, for a lease that is over: it is told so, and no row changes. */
async function checkStaleEpoch(route: Route, world: World, { prepare, ...given }: Example): Promise<void> {
  const { pool } = world.server.services.database;
  const { run } = world.held.assignment;
  await prepare?.();
  await pool.query("UPDATE runs SET epoch = epoch + 1 WHERE id = $1", [run]);
  const before = await rowsOf(world);
  const answer = await callAs("the worker that holds the run", route, world, given);
  assert.equal(answer.statusCode, 409, answer.body);
  assert.equal(answer.json().error.code, "stale_epoch");
  assert.deepEqual(await rowsOf(world), before, "an epoch that is over changed something");
  await pool.query("UPDATE runs SET epoch = epoch - 1 WHERE id = $1", [run]);
}

/** Reading changes nothing; that an upload is asked for keeps it from being taken for abandoned. */
async function checkReading(route: Route, world: World, { prepare, ...given }: Example): Promise<void> {
  await prepare?.();
  const before = await rowsOf(world);
  const answer = await callAs("admin", route, world, given);
  assert.equal(answer.statusCode, 200, answer.body);
  assert.deepEqual(await rowsOf(world), before, "reading changed something");
}

/** What the route says that it writes into the audit log is there, and nothing where it says why nothing is. */
async function checkAudited({ audit }: Route, { server }: World, before: number): Promise<void> {
  const { rows } = await server.services.database.pool.query<{ action: string }>(
    `SELECT DISTINCT action FROM audit_events
     WHERE chain = $1 AND sequence > $2 AND action NOT LIKE 'access.%' AND event ->> 'request' IS NOT NULL`,
    [server.project, before],
  );
  const actions = rows.map(({ action }) => action);
  if (typeof audit === "string") assert.ok(actions.includes(audit), `${audit} is not among: ${actions.join(", ")}`);
  else assert.deepEqual(actions, [], audit?.none);
}

async function callAs(caller: string, route: Route, world: World, given: Example): Promise<LightMyRequestResponse> {
  return await (await cellsOf(route, world, given)).find((cell) => cell.caller === caller)!.call();
}

/** A digest of all rows of each table, but for the times at which tokens and uploads were last seen. */
async function rowsOf({ server: { services } }: World): Promise<Record<string, string>> {
  const { pool } = services.database;
  const { rows } = await pool.query<{ name: string }>(
    "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename",
  );
  const digests: Record<string, string> = {};
  for (const { name } of rows) {
    const found = await pool.query<{ digest: string }>(
      `SELECT md5(coalesce(string_agg(row, '' ORDER BY row), '')) AS digest FROM (
         SELECT (to_jsonb(t) - 'last_used_at' - 'moved_at')::text AS row FROM "${name}" t) AS all_rows`,
    );
    digests[name] = found.rows[0]!.digest;
  }
  return digests;
}

test("every route lets in exactly whom its access rule names, and shows nobody another project", async (t) => {
  const routes = allRoutes({} as Services, "test");
  // Reading changes nothing, so those who read share a world.
  const shared = await makeWorld(t);
  let cells = 0;
  for (const route of routes) {
    await t.test(keyOf(route), async (ofRoute) => {
      const world = route.method === "GET" ? shared : await makeWorld(ofRoute);
      const given = await example(route, world);
      const audited = (await auditHead(world.server.services.database.pool, world.server.project)).sequence;
      for (const cell of await cellsOf(route, world, given)) {
        check(cell, await cell.call(), world);
        cells++;
      }
      if (route.method !== "GET") await checkAudited(route, world, audited);
      if (route.path.startsWith("/agent/runs/:run")) await checkStaleEpoch(route, world, given);
      if (route.method === "GET" && route.access.kind === "role") await checkReading(route, world, given);
    });
  }
  t.diagnostic(`${routes.length} routes, ${cells} cells`);
});

test("without a credential of its own, Berth is reached by exactly these routes", () => {
  const byKind = Map.groupBy(allRoutes({} as Services, "test"), ({ access }) => access.kind);
  assert.deepEqual(byKind.get("public")?.map(keyOf), [
    "GET /health",
    "GET /health/ready",
    // These end with what the identity provider proves.
    "POST /login/begin",
    "POST /login/finish",
    // This asks for a token, or for a code that one made.
    "POST /session",
  ]);
  // Of these the body has to be signed.
  assert.deepEqual(byKind.get("webhook")?.map(keyOf), ["POST /hooks/:trigger"]);
});
