import pg from "pg";
import { Database } from "../../src/server/store/database.ts";
import { migrate } from "../../src/server/store/migrations.ts";

/**
 * A database of its own whose `now()` is the simulation's: a function of that name is found before PostgreSQL's, by
 * every statement and by the defaults of columns.
 */
export class SimulatedDatabase implements AsyncDisposable {
  readonly database: Database;
  readonly #cluster: string;
  readonly #name: string;

  private constructor(cluster: string, name: string, url: string) {
    this.#cluster = cluster;
    this.#name = name;
    this.database = new Database({ url, poolSize: 3 });
  }

  static async open(cluster: string): Promise<SimulatedDatabase> {
    const name = `simulation_${process.pid}`;
    await administer(cluster, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`, `CREATE DATABASE ${name}`);
    const url = new URL(cluster);
    url.pathname = `/${name}`;
    await administer(
      url.href,
      "CREATE SCHEMA simulated",
      "CREATE TABLE simulated.clock (at timestamptz NOT NULL)",
      "INSERT INTO simulated.clock VALUES ('2030-01-01T00:00:00Z')",
      "CREATE FUNCTION simulated.now() RETURNS timestamptz LANGUAGE sql STABLE AS 'SELECT at FROM simulated.clock'",
      `ALTER DATABASE ${name} SET search_path = public, simulated, pg_catalog`,
    );
    await migrate(url.href);
    return new SimulatedDatabase(cluster, name, url.href);
  }

  /** The clock of the database is set. */
  async setTime(wallClockMs: number): Promise<void> {
    await this.database.pool.query("UPDATE simulated.clock SET at = $1", [new Date(wallClockMs)]);
  }

  /** A project for one seed; what earlier seeds left behind is out of its way. */
  async begin(project: string): Promise<void> {
    const { pool } = this.database;
    await pool.query("UPDATE runs SET state = 'cancelled' WHERE state IN ('queued', 'running', 'cancelling')");
    await pool.query("UPDATE reaper SET passed_at = now()");
    await pool.query("INSERT INTO projects (id, name) VALUES ($1, $1)", [project]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.database[Symbol.asyncDispose]();
    await administer(this.#cluster, `DROP DATABASE IF EXISTS ${this.#name} WITH (FORCE)`);
  }
}

async function administer(url: string, ...statements: readonly string[]): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}
