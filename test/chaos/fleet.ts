import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "../../src/server/postgres/embedded-postgres.ts";
import { freePort } from "../setup/free-port.ts";
import { AgentNetwork } from "./agent-network.ts";
import { ChaosApi } from "./api.ts";
import { endLeftovers, leftoversOf } from "./leftovers.ts";
import { Part } from "./part.ts";

const MAIN = resolve(import.meta.dirname, "../../src/main.ts");
const REPLICAS = 2;
const READY_TIMEOUT_MS = 60_000;
const SILENT = { info: () => {}, warn: () => {}, error: () => {} };
/** A worker that is gone is given up as soon as its lease ran out, so that a chaos run sees it happen. */
const RECOVERY_AFTER_SECONDS = "0";

/** What a server logs when it answers 500: see http/errors.ts. */
const INTERNAL_ERROR = "The server failed at this request";
const DEFECT_SHOWN_MAX_CHARS = 400;
/** A server that finds no database when it starts says so and ends; an agent waits. */
const SERVER_MAY_EXIT_WITH = [3];

export interface FleetOptions {
  readonly folder: string;
  readonly agents: number;
  /** Whether each agent gets a network of its own, which can be cut. */
  readonly networks: boolean;
  /** Of the servers, beside what every one has; such as another object store. */
  readonly serverEnv?: Readonly<Record<string, string>>;
}

/** An agent, and what is just being done to it. */
export interface FleetAgent {
  readonly part: Part;
  readonly network: AgentNetwork | null;
  /** On the monotonic clock. */
  cutUntil: number;
}

/** PostgreSQL, server replicas and agents, each of which comes back when it is killed. */
export class Fleet implements AsyncDisposable {
  readonly postgres: EmbeddedPostgres;
  readonly servers: readonly Part[];
  readonly agents: readonly FleetAgent[];
  readonly api: ChaosApi;
  /** Until when an agent is gone for long, on the monotonic clock, and how often one was. */
  goneUntil = 0;
  timesGone = 0;
  readonly #folder: string;
  readonly #client: Readonly<Record<string, string>>;
  readonly #owned: AsyncDisposableStack;

  static async start(options: FleetOptions): Promise<Fleet> {
    const { folder } = options;
    await using owned = new AsyncDisposableStack();
    const postgres = owned.use(
      await startEmbeddedPostgres({ folder: join(folder, "postgres"), database: "berth", log: SILENT }),
    );
    const ports = await Promise.all(Array.from({ length: REPLICAS }, freePort));
    const urls = ports.map((port) => `http://127.0.0.1:${port}`);
    const servers = ports.map((port, index) => {
      const server = startServer(folder, index, {
        DATABASE_URL: postgres.url,
        BERTH_LISTEN: `${options.networks ? "0.0.0.0" : "127.0.0.1"}:${port}`,
        ...options.serverEnv,
      });
      owned.defer(() => server.stop());
      return server;
    });
    for (const url of urls) await answering(url);
    const token = adminToken(folder);
    const agents: FleetAgent[] = [];
    for (let index = 0; index < options.agents; index++) {
      const port = ports[index % ports.length]!;
      const network = options.networks ? owned.use(new AgentNetwork(index)) : null;
      const home = makeHome(folder, `agent-${index}`);
      register(home, { name: `agent-${index}`, url: `http://127.0.0.1:${port}`, token });
      const server = `http://${network?.host ?? "127.0.0.1"}:${port}`;
      const args = ["agent", "start", "--server", server];
      const agent = part(folder, `agent-${index}`, args, environment(home), network?.through);
      owned.defer(() => agent.stop());
      agents.push({ part: agent, network, cutUntil: 0 });
    }
    const client = { BERTH_SERVER: urls[0]!, BERTH_TOKEN: token };
    return new Fleet({ folder, client }, postgres, { servers, agents }, new ChaosApi(urls, token), owned.move());
  }

  private constructor(
    { folder, client }: { readonly folder: string; readonly client: Readonly<Record<string, string>> },
    postgres: EmbeddedPostgres,
    parts: { readonly servers: readonly Part[]; readonly agents: readonly FleetAgent[] },
    api: ChaosApi,
    owned: AsyncDisposableStack,
  ) {
    this.#folder = folder;
    this.#client = client;
    this.#owned = owned;
    this.postgres = postgres;
    this.servers = parts.servers;
    this.agents = parts.agents;
    this.api = api;
  }

  /** Runs a command of the CLI as an administrator, from this folder; returns what it printed. */
  cli(cwd: string, ...args: readonly string[]): string {
    return berth({ ...environment(makeHome(this.#folder, "client")), ...this.#client }, args, cwd);
  }

  leftovers(): string[] {
    return leftoversOf(this.#folder);
  }

  /** What no outage excuses: programs that ended by themselves, and requests that failed as by a defect. */
  defects(): string[] {
    const failed = this.servers.flatMap(({ name }) =>
      readFileSync(join(this.#folder, `${name}.log`), "utf8")
        .split("\n")
        .filter((line) => line.includes(INTERNAL_ERROR))
        .map((line) => `${name}: ${line.slice(0, DEFECT_SHOWN_MAX_CHARS)}`),
    );
    const crashes = [...this.servers, ...this.agents.map((agent) => agent.part)].flatMap((one) => one.crashes);
    return [...crashes, ...failed];
  }

  /** Nobody is cut off any more: what waits is to come to its end. */
  heal(): void {
    for (const agent of this.agents) agent.network?.heal();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.heal();
    await Promise.all([
      ...this.agents.map(({ part: agent }) => agent.stop()),
      ...this.servers.map((one) => one.stop()),
    ]);
    await this.#owned.disposeAsync();
    endLeftovers(this.#folder);
  }
}

function startServer(folder: string, index: number, env: Record<string, string>): Part {
  const name = `server-${index}`;
  const own = { BERTH_OBJECTS: join(folder, "objects"), BERTH_RECOVERY_AFTER_SECONDS: RECOVERY_AFTER_SECONDS };
  return part(folder, name, ["server"], { ...environment(makeHome(folder, name)), ...own, ...env });
}

interface Registration {
  readonly name: string;
  readonly url: string;
  /** Of an administrator. */
  readonly token: string;
}

/** A worker registers from outside of its network: what may be cut is what comes after. */
function register(home: string, { name, url, token }: Registration): void {
  mkdirSync(join(home, "agent"), { recursive: true });
  writeFileSync(join(home, "agent", "config.json"), JSON.stringify({ diskFreeMinBytes: 0, graceMs: 1_000, slots: 3 }));
  const env = { ...environment(home), BERTH_SERVER: url, BERTH_TOKEN: token };
  const made = berth(env, ["token", "create", "--registration", "--json"]);
  const registration = (JSON.parse(made) as { token: string }).token;
  const registering = { ...env, BERTH_REGISTRATION_TOKEN: registration };
  berth(registering, ["agent", "register", "--server", url, "--name", name]);
}

function berth(env: Record<string, string>, args: readonly string[], cwd?: string): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], { env, encoding: "utf8", cwd });
  if (status !== 0) throw new Error(`berth ${args.join(" ")}: ${stderr}`);
  return stdout;
}

function part(
  folder: string,
  name: string,
  args: readonly string[],
  env: Record<string, string>,
  through: readonly string[] = [],
): Part {
  const mayExitWith = args[0] === "server" ? SERVER_MAY_EXIT_WITH : [];
  return new Part({ name, args, env, through, mayExitWith, logFile: join(folder, `${name}.log`) });
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
