import { spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ensurePackages } from "./docker.ts";
import { freePort } from "./free-port.ts";

const START_TIMEOUT_MS = 30_000;

/** A real image registry on the loopback address that asks for a user and a password, and has nothing in it yet. */
export interface TestRegistry extends AsyncDisposable {
  /** `127.0.0.1:port`. */
  readonly host: string;
  readonly username: string;
  readonly password: string;
  /** Puts a variant of an image there that only it has, and leaves neither a login nor that image behind; returns its name. */
  push(image: string, repository: string): string;
}

/** The distribution's registry, installed where it is missing and that may be done. */
export async function startRegistry(): Promise<TestRegistry> {
  await ensurePackages(["docker-registry", "apache2-utils"], "docker-registry");
  const home = mkdtempSync(join(tmpdir(), "berth-test-registry-"));
  await using started = new AsyncDisposableStack();
  started.defer(() => rmSync(home, { recursive: true, force: true }));
  const login = { username: "puller", password: `canary-${randomBytes(12).toString("hex")}` };
  writeFileSync(join(home, "users"), output("htpasswd", ["-Bbn", login.username, login.password]));
  const host = `127.0.0.1:${await freePort()}`;
  const config = {
    version: 0.1,
    log: { level: "error" },
    storage: { filesystem: { rootdirectory: join(home, "data") } },
    http: { addr: host },
    auth: { htpasswd: { realm: "berth-test", path: join(home, "users") } },
  };
  // JSON is YAML.
  writeFileSync(join(home, "config.yml"), JSON.stringify(config));
  const log = openSync(join(home, "log"), "a");
  const command = ["--pdeathsig", "KILL", "docker-registry", "serve", join(home, "config.yml")];
  const child = spawn("setpriv", command, { stdio: ["ignore", log, log] });
  closeSync(log);
  const closed = once(child, "close");
  started.defer(async () => {
    child.kill("SIGKILL");
    await closed;
  });
  for (const deadline = Date.now() + START_TIMEOUT_MS; ; await sleep(20)) {
    const answer = await fetch(`http://${host}/v2/`).catch(() => null);
    if (answer?.status === 401) break;
    if (child.exitCode === null && Date.now() < deadline) continue;
    throw new Error(`the registry did not start: ${readFileSync(join(home, "log"), "utf8").slice(-2000)}`);
  }
  const all = started.move();
  return {
    ...{ host, ...login },
    push(image, repository) {
      const name = `${host}/${repository}`;
      const docker = mkdtempSync(join(home, "login-"));
      const auth = Buffer.from(`${login.username}:${login.password}`).toString("base64");
      writeFileSync(join(docker, "config.json"), JSON.stringify({ auths: { [host]: { auth } } }));
      const container = output("docker", ["create", image, "true"]).trim();
      output("docker", ["commit", "--change", `LABEL berth.test=${randomBytes(8).toString("hex")}`, container, name]);
      output("docker", ["rm", container]);
      output("docker", ["--config", docker, "push", name]);
      output("docker", ["rmi", name]);
      return name;
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

function output(program: string, args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${program} ended with ${status}: ${stderr ?? error?.message}`);
  return stdout;
}
