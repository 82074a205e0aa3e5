import pg from "pg";

/**
 * One connection, outside of any pool. When it breaks between two queries it says so by an event, which ends the process
 * where nobody listens: here that is left to the next query, whose caller hears of it.
 */
export async function connect(config: pg.ClientConfig): Promise<pg.Client> {
  const client = new pg.Client(config);
  client.on("error", () => {});
  await client.connect();
  return client;
}
