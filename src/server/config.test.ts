import assert from "node:assert/strict";
import { test } from "node:test";
import { isLoopback, readServerConfig } from "./config.ts";

test("without any variable a server listens on loopback and runs its own database", () => {
  const config = readServerConfig({ HOME: "/somewhere" }, "/home/x/.berth");
  assert.deepEqual(config, {
    home: "/home/x/.berth",
    listen: { host: "127.0.0.1", port: 7070 },
    tls: null,
    databaseUrl: null,
    databaseConnections: 10,
    objects: {
      main: { setting: "BERTH_OBJECTS", kind: { type: "folder", folder: "/home/x/.berth/objects" } },
      large: { setting: "BERTH_OBJECTS", kind: { type: "folder", folder: "/home/x/.berth/objects" } },
      old: [],
      objectMinBytes: 10 * 1024 * 1024,
      largeMinBytes: 1024 ** 3,
    },
    secretKeyFile: null,
    secretKeys: null,
    lostKeys: [],
    provenanceKeyFile: null,
    rates: { perTokenSecond: 500, perAddressSecond: 1_000, perAddressMinuteUnproven: 60 },
    trustedProxies: [],
    login: null,
    logLevel: "info",
    recoveryAfterMs: null,
  });
});

const bucket = {
  ...{ type: "s3", prefix: "", endpoint: null, region: null, pathStyle: false, profile: null },
  ...{ directEndpoint: null, direct: true },
};

test("every variable is read, and an empty one is one that is not set", () => {
  const config = readServerConfig({
    BERTH_HOME: "/data",
    BERTH_LISTEN: "[::]:80",
    DATABASE_URL: "postgresql://u@h/db",
    BERTH_DATABASE_CONNECTIONS: "20",
    BERTH_OBJECTS: "/blobs",
    BERTH_LARGE_OBJECTS: "s3://large/berth?region=eu-central-1",
    BERTH_OLD_OBJECTS: "/first s3://second",
    BERTH_OBJECTS_FROM: "1MiB",
    BERTH_LARGE_OBJECTS_FROM: "2GB",
    BERTH_SECRET_KEY_FILE: "/keys/berth",
    BERTH_SECRET_KEYS: "",
    BERTH_LOST_KEYS: "0011 2233",
    BERTH_PROVENANCE_KEY_FILE: "/keys/provenance.pem",
    BERTH_TOKEN_RATE: "20",
    BERTH_UNPROVEN_RATE: "0",
    BERTH_TRUSTED_PROXIES: "10.0.0.5 10.1.0.0/16 fd00::/8",
    BERTH_LOG_LEVEL: "debug",
    BERTH_RECOVERY_AFTER_SECONDS: "5",
  });
  assert.deepEqual(config, {
    home: "/data",
    listen: { host: "::", port: 80 },
    tls: null,
    databaseUrl: "postgresql://u@h/db",
    databaseConnections: 20,
    objects: {
      main: { setting: "BERTH_OBJECTS", kind: { type: "folder", folder: "/blobs" } },
      large: {
        setting: "BERTH_LARGE_OBJECTS",
        kind: { ...bucket, bucket: "large", prefix: "berth/", region: "eu-central-1" },
      },
      old: [
        { setting: "BERTH_OLD_OBJECTS", kind: { type: "folder", folder: "/first" } },
        { setting: "BERTH_OLD_OBJECTS", kind: { ...bucket, bucket: "second" } },
      ],
      objectMinBytes: 1024 * 1024,
      largeMinBytes: 2_000_000_000,
    },
    secretKeyFile: "/keys/berth",
    secretKeys: null,
    lostKeys: ["0011", "2233"],
    provenanceKeyFile: "/keys/provenance.pem",
    rates: { perTokenSecond: 20, perAddressSecond: 1_000, perAddressMinuteUnproven: null },
    trustedProxies: ["10.0.0.5", "10.1.0.0/16", "fd00::/8"],
    login: null,
    logLevel: "debug",
    recoveryAfterMs: 5000,
  });
  assert.equal(readServerConfig({ BERTH_LISTEN: "", DATABASE_URL: "" }, "/x").databaseUrl, null);
});

test("TLS is by two files, or by an authority of the server's own for more names than the machine's", () => {
  const files = { BERTH_TLS_CERT: "/cert.pem", BERTH_TLS_KEY: "/key.pem" };
  assert.deepEqual(readServerConfig(files, "/x").tls, { kind: "files", cert: "/cert.pem", key: "/key.pem" });
  const own = { BERTH_TLS: "generate", BERTH_TLS_NAMES: "Berth.lan, 10.0.0.7 fd00::1" };
  assert.deepEqual(readServerConfig(own, "/x").tls, { kind: "generate", names: ["berth.lan", "10.0.0.7", "fd00::1"] });
});

test("what cannot be meant is refused by the name of its variable", () => {
  const bad: Record<string, string>[] = [
    { BERTH_LISTEN: "7070" },
    { BERTH_LISTEN: "localhost:70700" },
    { BERTH_LISTEN: "::1:80" },
    { BERTH_TLS: "on" },
    { BERTH_TLS_CERT: "/cert.pem" },
    { BERTH_TLS_CERT: "/cert.pem", BERTH_TLS_KEY: "/key.pem", BERTH_TLS: "generate" },
    { BERTH_TLS_NAMES: "berth.example.com" },
    { BERTH_TLS_NAMES: "-berth", BERTH_TLS: "generate" },
    { DATABASE_URL: "mysql://x" },
    { DATABASE_URL: "secret" },
    { BERTH_TOKEN_RATE: "-1" },
    { BERTH_TRUSTED_PROXIES: "10.0.0.0/33" },
    { BERTH_TRUSTED_PROXIES: "proxy.example.com" },
    { BERTH_LOG_LEVEL: "loud" },
    { BERTH_DATABASE_CONNECTIONS: "1" },
    { BERTH_RECOVERY_AFTER_SECONDS: "1.5" },
    { BERTH_OBJECTS: "gs://bucket" },
    { BERTH_OBJECTS: "s3://" },
    { BERTH_LARGE_OBJECTS: "s3://key:secret@bucket" },
    { BERTH_OLD_OBJECTS: "/fine s3://bucket?endpoint=nowhere" },
    { BERTH_OBJECTS_FROM: "10" },
    { BERTH_OBJECTS_FROM: "1GiB" },
    { BERTH_LARGE_OBJECTS_FROM: "1MiB" },
  ];
  for (const env of bad) {
    const [name] = Object.keys(env) as [string];
    assert.throws(
      () => readServerConfig(env, "/x"),
      (error: Error) => error.message.includes(name) && !error.message.includes("secret"),
    );
  }
});

test("only addresses of this machine alone are loopback", () => {
  const loopback = ["127.0.0.1", "127.1.2.3", "::1", "localhost"];
  const others = ["0.0.0.0", "::", "10.0.0.1", "127.0.0.1.example.com", "example.com"];
  for (const host of loopback) assert.equal(isLoopback({ host, port: 1 }), true, host);
  for (const host of others) assert.equal(isLoopback({ host, port: 1 }), false, host);
});
