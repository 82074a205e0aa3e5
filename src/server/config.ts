import { isIP } from "node:net";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { MEMORY_PATTERN, parseMemory } from "../pipeline/quantity.ts";
import { BerthError } from "../protocol/errors.ts";
import type { RateConfig } from "./http/rate-limits.ts";
import { readLoginConfig } from "./login/login-config.ts";
import type { OidcConfig } from "./login/oidc-login.ts";
import { LARGE_TIER_MIN_BYTES, OBJECT_TIER_MIN_BYTES } from "./objects/object-tiers.ts";
import { parseStoreLocation, type StoreLocation } from "./objects/store-location.ts";
import { HOST_NAME } from "./tls/host-name.ts";

/** What a server is told by its environment, read once. docs/operating.md lists the same. */
export interface ServerConfig {
  /** BERTH_HOME: private folder of this server; default `~/.berth`. */
  readonly home: string;
  /** BERTH_LISTEN, `host:port`; default `127.0.0.1:7070`. Port 0 takes a free one. */
  readonly listen: ListenAddress;
  /** BERTH_TLS_CERT with BERTH_TLS_KEY, or BERTH_TLS=generate; null: plain HTTP. */
  readonly tls: TlsConfig | null;
  /** DATABASE_URL, `postgres://…`; null runs PostgreSQL in the home. */
  readonly databaseUrl: string | null;
  /** BERTH_DATABASE_CONNECTIONS: most connections of this server; default 10. */
  readonly databaseConnections: number;
  readonly objects: ObjectsConfig;
  /** BERTH_SECRET_KEY_FILE: a key a line, 32 random bytes in base64, newest last; null: one in the home, or none. */
  readonly secretKeyFile: string | null;
  /** BERTH_SECRET_KEYS: the same in place of a file; default none. */
  readonly secretKeys: string | null;
  /** BERTH_LOST_KEYS: names of keys that are lost for good, so that the server starts without; default none. */
  readonly lostKeys: readonly string[];
  /** BERTH_PROVENANCE_KEY_FILE: private Ed25519 key in PEM, the same for all replicas; null: one in the home, or none. */
  readonly provenanceKeyFile: string | null;
  /**
   * BERTH_TOKEN_RATE, requests of one API token a second, default 500; BERTH_ADDRESS_RATE, of one address, those of agents
   * aside, default 1000; BERTH_UNPROVEN_RATE, of one address a minute that prove nothing, default 60. 0: no limit.
   */
  readonly rates: RateConfig;
  /** BERTH_TRUSTED_PROXIES, separated by blanks: addresses and networks whose x-forwarded-for is believed; default none. */
  readonly trustedProxies: readonly string[];
  /** How people log in: see login/login-config.ts; null: not at all. */
  readonly login: OidcConfig | null;
  /** BERTH_LOG_LEVEL: trace, debug, info, warn, error, fatal or silent; default info. */
  readonly logLevel: LogLevel;
  /** BERTH_RECOVERY_AFTER_SECONDS: how long a silent worker keeps its runs after their lease ran out; null is 300. */
  readonly recoveryAfterMs: number | null;
}

/** Where blobs lie. Places are a folder or `s3://bucket/prefix?endpoint=…`; replicas share them. Sizes are like 10MiB. */
export interface ObjectsConfig {
  /** BERTH_OBJECTS: blobs that are no rows; default the folder `objects` in the home. */
  readonly main: StoreLocation;
  /** BERTH_LARGE_OBJECTS: the largest blobs; default the place of BERTH_OBJECTS. */
  readonly large: StoreLocation;
  /** BERTH_OLD_OBJECTS, separated by blanks: places that were used before and are only read; default none. */
  readonly old: readonly StoreLocation[];
  /** BERTH_OBJECTS_FROM: smaller blobs are rows of the database; 64KiB to 256MiB, default 10MiB. */
  readonly objectMinBytes: number;
  /** BERTH_LARGE_OBJECTS_FROM: blobs of this size and more are large; default 1GiB. */
  readonly largeMinBytes: number;
}

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

type Environment = Readonly<Record<string, string | undefined>>;

const DEFAULT_LISTEN = "127.0.0.1:7070";
const DEFAULT_CONNECTIONS = 10;
const CONNECTIONS_MAX = 1_000;
/** A row is whole in memory, several times over. */
const OBJECT_MIN_BYTES = ["64KiB", "256MiB"] as const;
const LARGE_MIN_BYTES = ["64KiB", "5TiB"] as const;
/** Far more than people and programs that follow runs ask for; a loop that went wild is held up. */
const TOKEN_RATE = 500;
/** Several people may sit behind one address. */
const ADDRESS_RATE = 1_000;
const UNPROVEN_RATE = 60;
const RATE_MAX = 1_000_000;
const RECOVERY_AFTER_MAX_SECONDS = 30 * 24 * 3600;

export function readServerConfig(env: Environment, home: string = homeFolder(env)): ServerConfig {
  const recovery = wholeNumber(env, "BERTH_RECOVERY_AFTER_SECONDS", 0, RECOVERY_AFTER_MAX_SECONDS);
  return {
    home,
    listen: listenAddress(given(env, "BERTH_LISTEN") ?? DEFAULT_LISTEN),
    tls: tlsConfig(env),
    databaseUrl: databaseUrl(env),
    databaseConnections: wholeNumber(env, "BERTH_DATABASE_CONNECTIONS", 2, CONNECTIONS_MAX) ?? DEFAULT_CONNECTIONS,
    objects: objectsConfig(env, home),
    ...secretKeys(env),
    provenanceKeyFile: pathOf(env, "BERTH_PROVENANCE_KEY_FILE"),
    rates: rates(env),
    trustedProxies: trustedProxies(env),
    login: readLoginConfig(env),
    logLevel: logLevel(given(env, "BERTH_LOG_LEVEL") ?? "info"),
    recoveryAfterMs: recovery === null ? null : recovery * 1000,
  };
}

function rates(env: Environment): RateConfig {
  const rate = (name: string, byDefault: number) => wholeNumber(env, name, 0, RATE_MAX) ?? byDefault;
  const limit = (value: number) => (value === 0 ? null : value);
  return {
    perTokenSecond: limit(rate("BERTH_TOKEN_RATE", TOKEN_RATE)),
    perAddressSecond: limit(rate("BERTH_ADDRESS_RATE", ADDRESS_RATE)),
    perAddressMinuteUnproven: limit(rate("BERTH_UNPROVEN_RATE", UNPROVEN_RATE)),
  };
}

function trustedProxies(env: Environment): string[] {
  const proxies = words(env.BERTH_TRUSTED_PROXIES ?? null);
  for (const text of proxies) {
    const [address = "", bits] = text.split("/");
    const most = isIP(address) === 4 ? 32 : 128;
    const isNetwork = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= most);
    if (isIP(address) === 0 || !isNetwork) throw invalid("BERTH_TRUSTED_PROXIES", text, "an address or network");
  }
  return proxies;
}

/** Two files in PEM that somebody renews, or an authority of the server's own, for these names beside the machine's. */
export type TlsConfig =
  | { readonly kind: "files"; readonly cert: string; readonly key: string }
  | { readonly kind: "generate"; readonly names: readonly string[] };

function tlsConfig(env: Environment): TlsConfig | null {
  const [cert, key] = [pathOf(env, "BERTH_TLS_CERT"), pathOf(env, "BERTH_TLS_KEY")];
  const generate = given(env, "BERTH_TLS");
  const names = (given(env, "BERTH_TLS_NAMES") ?? "")
    .toLowerCase()
    .split(/[\s,]+/)
    .filter((name) => name !== "");
  if (generate !== null && generate !== "generate") throw invalid("BERTH_TLS", generate, "`generate`");
  if ((cert === null) !== (key === null)) {
    throw new BerthError(
      "invalid_request",
      "BERTH_TLS_CERT and BERTH_TLS_KEY (--tls-cert, --tls-key) belong together.",
    );
  }
  if (cert !== null && generate !== null) {
    throw new BerthError("invalid_request", "BERTH_TLS=generate and BERTH_TLS_CERT are both set.", {
      advice: "Give the server a certificate, or let it make one.",
    });
  }
  if (names.length > 0 && generate === null) {
    throw new BerthError("invalid_request", "BERTH_TLS_NAMES (--tls-name) is for BERTH_TLS=generate.", {
      advice: "A certificate that somebody else issues has its names already.",
    });
  }
  for (const name of names) {
    if (isIP(name) === 0 && !HOST_NAME.test(name)) throw invalid("BERTH_TLS_NAMES", name, "a host name or an address");
  }
  if (cert !== null && key !== null) return { kind: "files", cert, key };
  return generate === null ? null : { kind: "generate", names };
}

/** Whether only this machine reaches the address. */
export function isLoopback({ host }: ListenAddress): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}

function secretKeys(env: Environment): Pick<ServerConfig, "secretKeyFile" | "secretKeys" | "lostKeys"> {
  const secretKeyFile = pathOf(env, "BERTH_SECRET_KEY_FILE");
  const keys = given(env, "BERTH_SECRET_KEYS");
  if (secretKeyFile !== null && keys !== null) {
    throw new BerthError("invalid_request", "BERTH_SECRET_KEY_FILE and BERTH_SECRET_KEYS are both set.", {
      advice: "Keep all keys in one of them: one a line, the newest last.",
    });
  }
  return { secretKeyFile, secretKeys: keys, lostKeys: words(given(env, "BERTH_LOST_KEYS")) };
}

function words(text: string | null): string[] {
  return (text ?? "").split(/\s+/).filter((word) => word !== "");
}

function objectsConfig(env: Environment, home: string): ObjectsConfig {
  const place = given(env, "BERTH_OBJECTS") ?? join(home, "objects");
  const large = given(env, "BERTH_LARGE_OBJECTS");
  const old = words(given(env, "BERTH_OLD_OBJECTS"));
  const objectMinBytes = byteSize(env, "BERTH_OBJECTS_FROM", OBJECT_MIN_BYTES) ?? OBJECT_TIER_MIN_BYTES;
  const largeMinBytes = byteSize(env, "BERTH_LARGE_OBJECTS_FROM", LARGE_MIN_BYTES) ?? LARGE_TIER_MIN_BYTES;
  if (largeMinBytes < objectMinBytes) {
    throw new BerthError("invalid_request", "BERTH_LARGE_OBJECTS_FROM is less than BERTH_OBJECTS_FROM.");
  }
  return {
    main: parseStoreLocation(place, "BERTH_OBJECTS"),
    large: parseStoreLocation(large ?? place, large === null ? "BERTH_OBJECTS" : "BERTH_LARGE_OBJECTS"),
    old: old.map((text) => parseStoreLocation(text, "BERTH_OLD_OBJECTS")),
    ...{ objectMinBytes, largeMinBytes },
  };
}

function byteSize(env: Environment, name: string, [min, max]: readonly [string, string]): number | null {
  const text = given(env, name);
  if (text === null) return null;
  const value = MEMORY_PATTERN.test(text) ? parseMemory(text) : Number.NaN;
  if (value >= parseMemory(min) && value <= parseMemory(max)) return value;
  throw invalid(name, text, `a size from ${min} to ${max}`);
}

function homeFolder(env: Environment): string {
  return resolve(given(env, "BERTH_HOME") ?? join(homedir(), ".berth"));
}

/** An empty variable is one that is not set. */
function given(env: Environment, name: string): string | null {
  const value = env[name];
  return value === undefined || value === "" ? null : value;
}

function pathOf(env: Environment, name: string): string | null {
  const value = given(env, name);
  return value === null ? null : resolve(value);
}

function listenAddress(text: string): ListenAddress {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    throw invalid("BERTH_LISTEN", text, "an address and a port such as 127.0.0.1:7070 or [::1]:7070");
  }
  return { host: (match[1] ?? match[2])!, port };
}

function databaseUrl(env: Environment): string | null {
  const text = given(env, "DATABASE_URL");
  if (text === null) return null;
  const protocol = URL.parse(text)?.protocol;
  if (protocol === "postgres:" || protocol === "postgresql:") return text;
  // Its value may hold a password, so it is not repeated.
  throw new BerthError("invalid_request", "DATABASE_URL is not an address of PostgreSQL.", {
    advice: "It is to look like postgres://user:password@host:5432/database.",
  });
}

function logLevel(text: string): LogLevel {
  const level = LOG_LEVELS.find((known) => known === text);
  if (level === undefined) throw invalid("BERTH_LOG_LEVEL", text, `one of ${LOG_LEVELS.join(", ")}`);
  return level;
}

function wholeNumber(env: Environment, name: string, min: number, max: number): number | null {
  const text = given(env, name);
  if (text === null) return null;
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw invalid(name, text, `a whole number from ${min} to ${max}`);
}

function invalid(name: string, value: string, wanted: string): BerthError {
  return new BerthError("invalid_request", `${name}=${value} is not ${wanted}.`);
}
