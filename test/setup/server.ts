import { generateKeyPairSync, type KeyObject, randomBytes } from "node:crypto";
import type { TestContext } from "node:test";
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from "fastify";
import { type Logger, pino } from "pino";
import { newId } from "../../src/protocol/ids.ts";
import { contentDigest, signatureHeaders } from "../../src/protocol/signature.ts";
import { createApp } from "../../src/server/http/app.ts";
import type { BodyPace } from "../../src/server/http/body-pace.ts";
import type { RateConfig } from "../../src/server/http/rate-limits.ts";
import type { Role, Route } from "../../src/server/http/route.ts";
import type { WebFiles } from "../../src/server/http/web-files.ts";
import { type KeyRing, localRing } from "../../src/server/keys/key-ring.ts";
import type { Login } from "../../src/server/login/login.ts";
import type { ObjectStore } from "../../src/server/objects/object-store.ts";
import { type ObjectTiers, oneStore } from "../../src/server/objects/object-tiers.ts";
import { createSigner, type Signer } from "../../src/server/provenance/signer.ts";
import { QuotaLedger } from "../../src/server/scheduling/quota-ledger.ts";
import { createSealer } from "../../src/server/sealer.ts";
import { newSecretToken } from "../../src/server/secret-token.ts";
import type { Services } from "../../src/server/services.ts";
import { Database } from "../../src/server/store/database.ts";
import { migrate } from "../../src/server/store/migrations.ts";
import { openPostgresWakeups } from "../../src/server/store/postgres-wakeups.ts";
import { registerKey } from "../../src/server/store/provenance.ts";
import { tieredBlobStore } from "../../src/server/store/tiered-blob-store.ts";
import { insertToken } from "../../src/server/store/tokens.ts";
import { Uploads } from "../../src/server/store/uploads.ts";
import { insertWorker } from "../../src/server/store/workers.ts";
import { testDatabase } from "./database.ts";

/** `url` is below `/api/v1`. */
export type TestRequest = InjectOptions & { readonly url: string };

/** The routes of the server on a database of their own, called without a network. */
export interface TestServer {
  readonly app: FastifyInstance;
  readonly services: Services;
  /** Id of the project `default`. */
  readonly project: string;
  /** Calls with an API token of the default project; without a role, with none. */
  readonly call: (role: Role | null, options: TestRequest) => Promise<LightMyRequestResponse>;
}

export interface TestServerOptions {
  /** Shared by several replicas; else a new one. */
  readonly url?: string;
  /** Else there are none: most tests store small blobs, which are rows. */
  readonly objects?: ObjectTiers;
  /** How long signed requests to the object store are good for. */
  readonly directExpiresMs?: number;
  readonly stop?: AbortSignal;
  /** What provenance is signed with; default a new key. */
  readonly signer?: Signer | null;
  /** What secrets are sealed under; shared by several replicas. */
  readonly secretKey?: Buffer;
  /** In place of one made of `secretKey`. */
  readonly sealer?: KeyRing;
  /** Default: everybody may ask as often as they like. */
  readonly rates?: RateConfig;
  /** Default: people do not log in. */
  readonly login?: Login;
  readonly trustedProxies?: readonly string[];
  readonly bodyPace?: BodyPace;
  /** Default: there are no pages. */
  readonly web?: WebFiles | null;
  /** Default: nothing is logged. */
  readonly log?: Logger;
}

/** Every use of it fails with these words. */
export function noObjects(words: string): ObjectTiers {
  return oneStore(
    new Proxy({ direct: null } as ObjectStore, {
      get: (known, name) =>
        Reflect.get(known, name) ?? (() => Promise.reject(new Error(`${words} has no object store: ${String(name)}`))),
    }),
  );
}

const VERSION = "0.0.0-test";
const NO_OBJECTS = noObjects("this test server");

/** Urls such as `/runs` in `call` are below `/api/v1`. */
export async function testServer(
  t: TestContext,
  routesOf: (services: Services) => readonly Route[],
  options: TestServerOptions = {},
): Promise<TestServer> {
  const url = options.url ?? (await testDatabase(t)).url;
  const installation = await migrate(url);
  const log = options.log ?? pino({ level: "silent" });
  const database = new Database({ url, poolSize: 5 });
  const wakeups = await openPostgresWakeups({ url, log });
  const objects = options.objects ?? NO_OBJECTS;
  const blobs = tieredBlobStore(database, objects);
  const uploads = new Uploads({
    database,
    objects,
    log,
    ...(options.directExpiresMs === undefined ? {} : { directExpiresMs: options.directExpiresMs }),
  });
  const sealer = options.sealer ?? localRing(createSealer(options.secretKey ?? randomBytes(32)));
  const signer =
    options.signer === undefined ? createSigner(generateKeyPairSync("ed25519").privateKey) : options.signer;
  if (signer !== null) await registerKey(database.pool, { id: signer.keyId, publicKey: signer.publicKey });
  const facts = { installation, version: VERSION, login: options.login ?? null };
  const quotas = new QuotaLedger(database);
  const services: Services = { database, wakeups, blobs, objects, uploads, quotas, log, sealer, signer, ...facts };
  const app = await createApp(services, routesOf(services), {
    version: VERSION,
    trustedProxies: options.trustedProxies ?? [],
    ...(options.rates === undefined ? {} : { rates: options.rates }),
    ...(options.stop === undefined ? {} : { stop: options.stop }),
    web: options.web ?? null,
    ...(options.bodyPace === undefined ? {} : { bodyPace: options.bodyPace }),
  });
  await app.ready();
  t.after(async () => {
    await app.close();
    await wakeups[Symbol.asyncDispose]();
    await database[Symbol.asyncDispose]();
  });
  const { rows } = await database.pool.query<{ id: string }>("SELECT id FROM projects WHERE name = 'default'");
  const project = rows[0]!.id;
  const tokens = new Map<Role, Promise<string>>();
  const call = async (role: Role | null, request: TestRequest): Promise<LightMyRequestResponse> => {
    const headers: Record<string, string> = {};
    if (role !== null) {
      if (!tokens.has(role)) tokens.set(role, testToken(services, role, project));
      headers.authorization = `Bearer ${await tokens.get(role)}`;
    }
    return await app.inject({
      ...request,
      url: `/api/v1${request.url}`,
      headers: { ...headers, ...request.headers },
    });
  };
  return { app, services, project, call };
}

/** A valid API token; `project` null is the whole installation. */
export async function testToken(services: Services, role: Role, project: string | null): Promise<string> {
  const { token, hash } = newSecretToken("api");
  await insertToken(services.database.pool, {
    id: newId("apiToken"),
    project,
    name: `test-${role}`,
    role,
    hash,
    createdBy: "test",
    lifetimeSeconds: null,
  });
  return token;
}

export interface TestWorker {
  readonly id: string;
  readonly bootId: string;
  readonly privateKey: KeyObject;
  /** Calls as this worker, signed; a path such as `/agent/poll` is below `/api/v1`. */
  call(
    method: "GET" | "POST" | "PUT",
    path: string,
    body?: unknown,
    more?: TestCallOptions,
  ): Promise<LightMyRequestResponse>;
}

export interface TestCallOptions {
  /** Replaces application/json; the body then is a Buffer. */
  readonly contentType?: string;
  /** Replaces the digest of the body, such as by UNSIGNED_PAYLOAD. */
  readonly contentDigest?: string;
  readonly headers?: Record<string, string>;
  /** Seconds since 1970. */
  readonly created?: number;
  /** Replaces the worker's own boot. */
  readonly bootId?: string;
}

/** A registered worker whose newest boot is its own. */
export async function testWorker(
  server: TestServer,
  options: { readonly name?: string; readonly project?: string; readonly pool?: string } = {},
): Promise<TestWorker> {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const id = newId("worker");
  const bootId = newId("boot");
  const pool = server.services.database.pool;
  const inserted = await insertWorker(pool, {
    id,
    project: options.project ?? server.project,
    pool: options.pool ?? "default",
    labels: [],
    name: options.name ?? `w${id.slice(-12)}`,
    type: "local",
    publicKey: publicKey.export({ format: "jwk" }).x!,
    agentVersion: "0.0.0-test",
    capabilities: TEST_CAPABILITIES,
  });
  if (!inserted) throw new Error("a worker of this name exists");
  await pool.query("UPDATE workers SET boot_id = $2, booted_at = now(), last_seen_at = now() WHERE id = $1", [
    id,
    bootId,
  ]);
  const call: TestWorker["call"] = async (method, path, body, more = {}) => {
    const payload = body === undefined ? "" : Buffer.isBuffer(body) ? body : JSON.stringify(body);
    const url = `/api/v1${path}`;
    const signed = signatureHeaders(
      {
        method,
        target: url,
        contentDigest: more.contentDigest ?? contentDigest(payload),
        bootId: more.bootId ?? bootId,
        created: more.created ?? Math.floor(Date.now() / 1000),
        workerId: id,
      },
      privateKey,
    );
    const type: Record<string, string> =
      body === undefined ? {} : { "content-type": more.contentType ?? "application/json" };
    const headers = { ...type, ...signed, ...more.headers };
    return await server.app.inject({ method, url, headers, ...(body === undefined ? {} : { payload }) });
  };
  return { id, bootId, privateKey, call };
}

export const TEST_CAPABILITIES = {
  os: "linux",
  arch: "x64",
  cpus: 2,
  memoryBytes: 2 ** 31,
  diskFreeBytes: 2 ** 33,
  gpus: [],
  backends: { process: {} },
  slots: 2,
};
