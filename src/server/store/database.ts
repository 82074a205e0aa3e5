import pg from "pg";

/** What queries run on: the pool, or one client inside a transaction. */
export type Queryable = Pick<pg.Pool, "query"> | Pick<pg.PoolClient, "query">;

export interface DatabaseOptions {
  readonly url: string;
  /** Connections of this process. */
  readonly poolSize?: number;
  /** For `pg_stat_activity`. */
  readonly applicationName?: string;
}

const CONNECT_TIMEOUT_MS = 5_000;
const STATEMENT_TIMEOUT_MS = 30_000;
/** A forgotten transaction would hold back vacuum and row locks for everybody. */
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 15_000;
const DEFAULT_POOL_SIZE = 10;

// bigint columns here are sizes, offsets and row numbers, all far below 2^53.
pg.types.setTypeParser(pg.types.builtins.INT8, Number);

/** The database, with one way to run a transaction. */
export class Database implements AsyncDisposable {
  readonly url: string;
  readonly pool: pg.Pool;

  constructor(options: DatabaseOptions) {
    this.url = options.url;
    this.pool = new pg.Pool({
      connectionString: options.url,
      max: options.poolSize ?? DEFAULT_POOL_SIZE,
      application_name: options.applicationName ?? "berth",
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      statement_timeout: STATEMENT_TIMEOUT_MS,
      idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_TIMEOUT_MS,
    });
    // A connection that breaks while idle is replaced by the pool; without a listener the process would end.
    this.pool.on("error", () => {});
    // The same for one that breaks inside a transaction, between two queries: the next query says so.
    this.pool.on("connect", (client) => {
      client.on("error", () => {});
    });
  }

  /** Runs `work` in one transaction: committed when it returns, rolled back when it throws. */
  async transaction<T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const client = await this.pool.connect();
    let broken = false;
    try {
      await client.query("BEGIN");
      const result = await work(client);
      await client.query("COMMIT");
      return result;
    } catch (error) {
      await client.query("ROLLBACK").catch(() => {
        broken = true;
      });
      throw error;
    } finally {
      client.release(broken);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.pool.end();
  }
}
