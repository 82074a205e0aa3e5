import type { FastifyInstance } from "fastify";
import { type Logger, pino } from "pino";
import { BerthError } from "../protocol/errors.ts";
import { ensureAdminToken } from "./admin-token.ts";
import type { ServerConfig } from "./config.ts";
import { openHome, type ServerHome } from "./home.ts";
import { createApp } from "./http/app.ts";
import { allRoutes } from "./http/routes.ts";
import { WebFiles } from "./http/web-files.ts";
import { type KeyRing, NO_KEYS } from "./keys/key-ring.ts";
import { ownRing, ringOfFile, ringOfText } from "./keys/open-key-ring.ts";
import { listen } from "./listen.ts";
import { OidcLogin } from "./login/oidc-login.ts";
import { startCollection } from "./objects/collect-unfinished.ts";
import { openStores } from "./open-stores.ts";
import { startEmbeddedPostgres } from "./postgres/embedded-postgres.ts";
import { ownSigner, type Signer, signerOf } from "./provenance/signer.ts";
import { startCollector } from "./scheduling/collect-loop.ts";
import { startRunLoops } from "./scheduling/loops.ts";
import { QuotaLedger } from "./scheduling/quota-ledger.ts";
import { requireKeys } from "./scheduling/require-keys.ts";
import type { Services } from "./services.ts";
import { Database } from "./store/database.ts";
import { migrate } from "./store/migrations.ts";
import { openPostgresWakeups } from "./store/postgres-wakeups.ts";
import { registerKey } from "./store/provenance.ts";
import { tieredBlobStore } from "./store/tiered-blob-store.ts";
import { Uploads } from "./store/uploads.ts";
import { appTls, openTls } from "./tls/open-tls.ts";

export interface ServerAddresses {
  /** Where this machine reaches it. */
  readonly url: string;
  /** Where other machines do; null when it listens for this one only. */
  readonly workerUrl: string | null;
  /** Of the authority that it made for itself, which workers pin; null where it has none. */
  readonly caFingerprint: string | null;
}

export interface RunningServer extends ServerAddresses {
  /** Resolves once it has ended. */
  readonly closed: Promise<void>;
  /** Ends it in order: what waits is answered at once, what works is finished. Repeated calls wait for the same end. */
  close(): Promise<void>;
}

export interface StartOptions {
  readonly version: string;
  /** Folder of the built web UI; without one, or where it is not built, there are no pages. */
  readonly webFolder?: string;
  /** Default: JSON lines on standard error. */
  readonly log?: Logger;
}

/** How long requests may go on working once the server stops. */
const CLOSE_TIMEOUT_MS = 10_000;

/** Starts a server, in the order in which its parts need each other; what was started is ended again if a part fails. */
export async function startServer(config: ServerConfig, options: StartOptions): Promise<RunningServer> {
  const log = options.log ?? createLog(config);
  await using started = new AsyncDisposableStack();
  try {
    const addresses = await start(config, options, log, started);
    return running(addresses, log, started.move());
  } catch (error) {
    throw startError(error, config);
  }
}

async function start(
  config: ServerConfig,
  { version, webFolder }: StartOptions,
  log: Logger,
  started: AsyncDisposableStack,
): Promise<ServerAddresses> {
  const home = started.use(openHome(config.home));
  const databaseUrl = config.databaseUrl ?? (await embeddedDatabase(home, log, started));
  const installation = await migrate(databaseUrl);
  const database = started.use(new Database({ url: databaseUrl, poolSize: config.databaseConnections }));
  const wakeups = started.use(await openPostgresWakeups({ url: databaseUrl, log }));
  const objects = await openStores(config.objects, { database, installation, started });
  const sealer = openRing(config, home);
  await requireKeys(database.pool, sealer, config.lostKeys);
  const services: Services = {
    database,
    wakeups,
    blobs: tieredBlobStore(database, objects),
    objects,
    uploads: new Uploads({ database, objects, log }),
    quotas: new QuotaLedger(database),
    log,
    sealer,
    signer: await openSigner(config, home, database),
    login: config.login === null ? null : new OidcLogin(config.login),
    installation,
    version,
  };
  if (await ensureAdminToken(database, home.adminTokenFile, config.databaseUrl === null)) {
    log.info({ file: home.adminTokenFile }, "made an administrator's token");
  }
  for (const store of new Set([objects.object, objects.large])) started.use(startCollection(store, log));
  started.use(startCollection(services.uploads, log));
  started.use(startCollector(services));
  started.use(
    startRunLoops(services, config.recoveryAfterMs === null ? {} : { recoveryAfterMs: config.recoveryAfterMs }),
  );
  const stop = new AbortController();
  const tls = config.tls === null ? null : started.use(openTls(config.tls, home.tlsFolder, log));
  const app = await createApp(services, allRoutes(services, version), {
    ...{ version, stop: stop.signal, tls: appTls(tls) },
    ...{ rates: config.rates, trustedProxies: config.trustedProxies },
    web: webFolder === undefined ? null : WebFiles.read(webFolder),
  });
  started.defer(() => closeApp(app, stop));
  const addresses = await listen(app, config.listen, tls, log);
  home.announce({
    ...addresses,
    tls: tls === null ? null : tls.forThisMachine(),
    ...{ pid: process.pid, version, startedAt: new Date().toISOString() },
  });
  const { caFingerprint = null } = tls?.source ?? {};
  log.info({ ...addresses, installation, version, ...(caFingerprint && { caFingerprint }) }, "Berth server is up");
  return { ...addresses, caFingerprint };
}

/** A key is made only where no other server could need the same. */
function openRing({ secretKeyFile, secretKeys, databaseUrl }: ServerConfig, home: ServerHome): KeyRing {
  if (secretKeys !== null) return ringOfText(secretKeys, "BERTH_SECRET_KEYS");
  if (secretKeyFile !== null) return ringOfFile(secretKeyFile);
  return databaseUrl === null ? ownRing(home.secretKeyFile) : NO_KEYS;
}

/** As for the ring. Its public half is written down, so that what it signs can be checked after it was replaced. */
async function openSigner(config: ServerConfig, home: ServerHome, database: Database): Promise<Signer | null> {
  const { provenanceKeyFile, databaseUrl } = config;
  if (provenanceKeyFile === null && databaseUrl !== null) return null;
  const signer = provenanceKeyFile === null ? ownSigner(home.provenanceKeyFile) : signerOf(provenanceKeyFile);
  await registerKey(database.pool, { id: signer.keyId, publicKey: signer.publicKey });
  return signer;
}

async function embeddedDatabase(home: ServerHome, log: Logger, started: AsyncDisposableStack): Promise<string> {
  return started.use(await startEmbeddedPostgres({ folder: home.postgresFolder, database: "berth", log })).url;
}

async function closeApp(app: FastifyInstance, stop: AbortController): Promise<void> {
  stop.abort();
  const timer = setTimeout(() => app.server.closeAllConnections(), CLOSE_TIMEOUT_MS);
  try {
    await app.close();
  } finally {
    clearTimeout(timer);
  }
}

function running(addresses: ServerAddresses, log: Logger, started: AsyncDisposableStack): RunningServer {
  const closed = Promise.withResolvers<void>();
  // Nobody has to wait for it.
  closed.promise.catch(() => {});
  let closing = false;
  return {
    ...addresses,
    closed: closed.promise,
    close: () => {
      if (!closing) {
        closing = true;
        closed.resolve(started.disposeAsync().finally(() => log.info("Berth server has ended")));
      }
      return closed.promise;
    },
  };
}

function createLog(config: ServerConfig): Logger {
  const secret = ["*.authorization", "*.signature", "*.token", "*.password", "headers", "req", "res"];
  // An answer that is not as its schema says: the error carries the whole route.
  const redact = [...secret, "err.serialization"];
  return pino({ level: config.logLevel, base: null, redact }, pino.destination({ fd: 2, sync: true }));
}

/** What a user can do something about, in words that say what. */
function startError(error: unknown, config: ServerConfig): unknown {
  if (error instanceof BerthError) return error;
  const { code, message, syscall } = error as NodeJS.ErrnoException;
  const { host, port } = config.listen;
  if (syscall === "listen" || syscall === "getaddrinfo" || syscall === "bind") {
    const why = code === "EADDRINUSE" ? "it is in use" : message;
    return new BerthError("unavailable", `The server cannot listen on ${host}:${port}: ${why}.`, {
      advice: "Stop what uses it, or set BERTH_LISTEN to another address, such as 127.0.0.1:7071.",
      cause: error,
    });
  }
  if (code === "ENOSPC" || code === "EDQUOT" || /database or disk is full/.test(message)) {
    return new BerthError("storage_full", `The server cannot start: the disk of ${config.home} is full.`, {
      advice: "Free space there and start again; nothing was lost.",
      cause: error,
    });
  }
  if (
    config.databaseUrl !== null &&
    (syscall === "connect" || /^(08|28|3D|57P|53)/.test(code ?? "") || /timeout/.test(message))
  ) {
    const { hostname, pathname } = new URL(config.databaseUrl);
    return new BerthError(
      "unavailable",
      `The database ${pathname.slice(1)} at ${hostname} cannot be used: ${message}`,
      {
        advice: "Check DATABASE_URL, and that PostgreSQL runs there.",
        cause: error,
      },
    );
  }
  return error;
}
