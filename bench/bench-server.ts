import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { startEmbeddedPostgres } from "../src/server/postgres/embedded-postgres.ts";
import { Database } from "../src/server/store/database.ts";

const MAIN = resolve(import.meta.dirname, "../src/main.ts");
const SILENT = { info: () => {}, warn: () => {}, error: () => {} };
const READY_POLL_MS = 20;

/** `berth server` as a process of its own, on a PostgreSQL with the settings that it has in use, which is open to look at. */
export class BenchServer implements AsyncDisposable {
  readonly url: string;
  readonly database: Database;
  /** Id of the default project. */
  readonly project: string;
  /** Process ids of the server and of PostgreSQL. */
  readonly pids: { readonly server: number; readonly postgres: number };
  /** Of an administrator. */
  readonly token: string;
  readonly #owned: AsyncDisposableStack;

  private constructor(
    url: string,
    database: Database,
    project: string,
    token: string,
    pids: BenchServer["pids"],
    owned: AsyncDisposableStack,
  ) {
    this.url = url;
    this.pids = pids;
    this.database = database;
    this.project = project;
    this.token = token;
    this.#owned = owned;
  }

  static async start(): Promise<BenchServer> {
    await using starting = new AsyncDisposableStack();
    const home = mkdtempSync(join(tmpdir(), "berth-bench-server-"));
    starting.defer(() => rmSync(home, { recursive: true, force: true }));
    const postgres = starting.use(
      await startEmbeddedPostgres({ folder: join(home, "postgres"), database: "berth", log: SILENT }),
    );
    const child = spawn(process.execPath, [MAIN, "server"], {
      stdio: ["ignore", "ignore", "inherit"],
      env: {
        ...process.env,
        ...{ BERTH_HOME: join(home, "server"), BERTH_LISTEN: "127.0.0.1:0", DATABASE_URL: postgres.url },
        // What is measured is the server, not its patience.
        ...{ BERTH_TOKEN_RATE: "0", BERTH_ADDRESS_RATE: "0" },
        BERTH_LOG_LEVEL: "error",
      },
    });
    starting.defer(() => ended(child));
    const announced = join(home, "server", "server.json");
    while (!existsSync(announced)) {
      if (child.exitCode !== null) throw new Error(`berth server ended with ${child.exitCode}`);
      await sleep(READY_POLL_MS);
    }
    const { url } = JSON.parse(readFileSync(announced, "utf8")) as { url: string };
    const token = readFileSync(join(home, "server", "admin-token"), "utf8").trim();
    const database = starting.use(new Database({ url: postgres.url, poolSize: 4 }));
    const { rows } = await database.pool.query<{ id: string }>("SELECT id FROM projects WHERE name = 'default'");
    return new BenchServer(
      url,
      database,
      rows[0]!.id,
      token,
      { server: child.pid!, postgres: postgres.pid },
      starting.move(),
    );
  }

  async get<T>(path: string): Promise<T> {
    const answer = await fetch(`${this.url}/api/v1${path}`, { headers: { authorization: `Bearer ${this.token}` } });
    if (!answer.ok) throw new Error(`GET ${path}: ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as T;
  }

  async post<T>(path: string, body: unknown): Promise<T> {
    const answer = await fetch(`${this.url}/api/v1${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${this.token}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`POST ${path}: ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as T;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#owned.disposeAsync();
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const exit = new Promise((done) => child.once("exit", done));
  child.kill("SIGTERM");
  await exit;
}
