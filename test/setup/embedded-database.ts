import { readFileSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";

/** One statement in the database of an embedded server: for what only time would bring about, or a look at every row. */
export async function queryEmbedded<Row extends pg.QueryResultRow>(
  home: string,
  sql: string,
  values: readonly unknown[] = [],
): Promise<Row[]> {
  const password = readFileSync(join(home, "postgres/password"), "utf8").trim();
  const [, , , port] = readFileSync(join(home, "postgres/data/postmaster.pid"), "utf8").split("\n");
  const client = new pg.Client({ host: "127.0.0.1", port: Number(port), user: "berth", password, database: "berth" });
  await client.connect();
  try {
    return (await client.query<Row>(sql, [...values])).rows;
  } finally {
    await client.end();
  }
}
