import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { BerthError } from "../protocol/errors.ts";

/** What a server is told by its environment, read once. docs/operating.md lists the same. */
export interface ServerConfig {
  /** BERTH_HOME: private folder of this server; default `~/.berth`. */
  readonly home: string;
  /** BERTH_LISTEN, `host:port`; default `127.0.0.1:7070`. Port 0 takes a free one. */
  readonly listen: ListenAddress;
  /** DATABASE_URL, `postgres://…`; null runs PostgreSQL in the home. */
  readonly databaseUrl: string | null;
  /** BERTH_DATABASE_CONNECTIONS: most connections of this server; default 10. */
  readonly databaseConnections: number;
  /** BERTH_OBJECTS: folder of blobs of 10 MiB and more; default `objects` in the home. Replicas share one. */
  readonly objectsFolder: string;
  /** BERTH_SECRET_KEY_FILE: 32 random bytes in base64, the same for all replicas; null: one in the home, or none. */
  readonly secretKeyFile: string | null;
  /** BERTH_LOG_LEVEL: trace, debug, info, warn, error, fatal or silent; default info. */
  readonly logLevel: LogLevel;
  /** BERTH_RECOVERY_AFTER_SECONDS: how long a silent worker keeps its runs after their lease ran out; null is 300. */
  readonly recoveryAfterMs: number | null;
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
const RECOVERY_AFTER_MAX_SECONDS = 30 * 24 * 3600;

export function readServerConfig(env: Environment, home: string = homeFolder(env)): ServerConfig {
  const recovery = wholeNumber(env, "BERTH_RECOVERY_AFTER_SECONDS", 0, RECOVERY_AFTER_MAX_SECONDS);
  return {
    home,
    listen: listenAddress(given(env, "BERTH_LISTEN") ?? DEFAULT_LISTEN),
    databaseUrl: databaseUrl(env),
    databaseConnections: wholeNumber(env, "BERTH_DATABASE_CONNECTIONS", 2, CONNECTIONS_MAX) ?? DEFAULT_CONNECTIONS,
    objectsFolder: resolve(given(env, "BERTH_OBJECTS") ?? join(home, "objects")),
    secretKeyFile: pathOf(env, "BERTH_SECRET_KEY_FILE"),
    logLevel: logLevel(given(env, "BERTH_LOG_LEVEL") ?? "info"),
    recoveryAfterMs: recovery === null ? null : recovery * 1000,
  };
}

/** Whether only this machine reaches the address. */
export function isLoopback({ host }: ListenAddress): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
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
