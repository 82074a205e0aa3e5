import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "../../src/server/postgres/embedded-postgres.ts";
import { freePort } from "../setup/free-port.ts";
import { ChaosApi } from "./api.ts";
import { Part } from "./part.ts";

const MAIN = resolve(import.meta.dirname, "../../src/main.ts");
const REPLICAS = 2;
const AGENTS = 3;
const READY_TIMEOUT_MS = 60_000;
const SILENT = { info: () => {}, warn: () => {}, error: () => {} };
/** A worker that is gone is given up as soon as its lease ran out, so that a chaos run sees it happen. */
const RECOVERY_AFTER_SECONDS = "0";

/** PostgreSQL, server replicas and agents, each of which comes back when it is killed. */
export class Fleet implements AsyncDisposable {
  readonly postgres: EmbeddedPostgres;
  readonly servers: readonly Part[];
  readonly agents: readonly Part[];
  readonly api: ChaosApi;
  readonly #folder: string;

  static async start(folder: string): Promise<Fleet> {
    const postgres = await startEmbeddedPostgres({ folder: join(folder, "postgres"), database: "berth", log: SILENT });
    const ports = await Promise.all(Array.from({ length: REPLICAS }, freePort));
    const urls = ports.map((port) => `http://127.0.0.1:${port}`);
    const servers = ports.map((port, index) => {
      const home = makeHome(folder, `server-${index}`);
      const env = {
        DATABASE_URL: postgres.url,
        BERTH_LISTEN: `127.0.0.1:${port}`,
        BERTH_OBJECTS: join(folder, "objects"),
        BERTH_RECOVERY_AFTER_SECONDS: RECOVERY_AFTER_SECONDS,
      };
      return part(folder, `server-${index}`, ["server"], { ...environment(home), ...env });
    });
    for (const url of urls) await answering(url);
    const token = adminToken(folder);
    const agents = await Promise.all(
      Array.from({ length: AGENTS }, (_, index) =>
        startAgent(folder, `agent-${index}`, urls[index % urls.length]!, token),
      ),
    );
    return new Fleet(folder, postgres, { servers, agents }, new ChaosApi(urls, token));
  }

  private constructor(
    folder: string,
    postgres: EmbeddedPostgres,
    parts: { readonly servers: readonly Part[]; readonly agents: readonly Part[] },
    api: ChaosApi,
  ) {
    this.#folder = folder;
    this.postgres = postgres;
    this.servers = parts.servers;
    this.agents = parts.agents;
    this.api = api;
  }

  /** What runs left on the workers: their folders, and containers. */
  leftovers(): string[] {
    return this.agents.flatMap(({ name }) => {
      const home = join(this.#folder, name, "agent");
      const { installation } = JSON.parse(readFileSync(join(home, "agent.json"), "utf8")) as { installation: string };
      const filter = `label=berth.installation=${installation}`;
      const { stdout } = spawnSync("docker", ["ps", "--all", "--quiet", "--filter", filter], { encoding: "utf8" });
      const containers = stdout.split("\n").filter((line) => line !== "");
      return [...readdirSync(join(home, "runs")), ...containers].map((what) => `${name}: ${what}`);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.agents.map((agent) => agent.stop()));
    await Promise.all(this.servers.map((server) => server.stop()));
    await this.postgres[Symbol.asyncDispose]();
  }
}

async function startAgent(folder: string, name: string, server: string, token: string): Promise<Part> {
  const home = makeHome(folder, name);
  mkdirSync(join(home, "agent"), { recursive: true });
  writeFileSync(join(home, "agent", "config.json"), JSON.stringify({ diskFreeMinBytes: 0, graceMs: 1_000, slots: 3 }));
  const made = await fetch(`${server}/api/v1/registration-tokens?project=default`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({ labels: [] }),
  });
  const { token: registration } = (await made.json()) as { token: string };
  const env = { ...environment(home), BERTH_REGISTRATION_TOKEN: registration };
  const args = [MAIN, "agent", "register", "--server", server, "--name", name];
  const registered = spawnSync(process.execPath, args, { env, encoding: "utf8" });
  if (registered.status !== 0) throw new Error(`${name} could not be registered: ${registered.stderr}`);
  return part(folder, name, ["agent", "start"], environment(home));
}

function part(folder: string, name: string, args: readonly string[], env: Record<string, string>): Part {
  return new Part({ name, args, env, logFile: join(folder, `${name}.log`) });
}

function makeHome(folder: string, name: string): string {
  const home = join(folder, name);
  mkdirSync(home, { recursive: true, mode: 0o700 });
  return home;
}

function environment(home: string): Record<string, string> {
  const { PATH = "", DOCKER_HOST } = process.env;
  return {
    PATH,
    HOME: home,
    BERTH_HOME: home,
    BERTH_LOG_LEVEL: "info",
    ...(DOCKER_HOST === undefined ? {} : { DOCKER_HOST }),
  };
}

async function answering(url: string): Promise<void> {
  const deadline = performance.now() + READY_TIMEOUT_MS;
  for (;;) {
    const answer = await fetch(`${url}/api/v1/health/ready`).catch(() => null);
    if (answer?.ok) return;
    if (performance.now() > deadline) throw new Error(`${url} does not become ready`);
    await sleep(100);
  }
}

/** Made by whichever replica came first. */
function adminToken(folder: string): string {
  const files = readdirSync(folder)
    .filter((name) => name.startsWith("server-") && !name.endsWith(".log"))
    .map((name) => join(folder, name, "admin-token"));
  for (const file of files) {
    try {
      return readFileSync(file, "utf8").trim();
    } catch {
      // The other replica made it.
    }
  }
  throw new Error("no replica made an administrator's token");
}
