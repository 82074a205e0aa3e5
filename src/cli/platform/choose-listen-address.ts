import { once } from "node:events";
import { createServer } from "node:net";

/** Where a server listens when nothing else is said. */
const USUAL_PORT = 7070;
const HOST = "127.0.0.1";

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The BERTH_LISTEN of an embedded server; undefined where the environment names a port. Otherwise it is the usual one,
 * or a free one where another program has that: chosen once, so that restarts of the server keep it.
 */
export async function chooseListenAddress(env: Environment, log: (line: string) => void): Promise<string | undefined> {
  const asked = env.BERTH_LISTEN ?? "";
  if (asked.endsWith(":0")) return asked.replace(/:0$/, `:${await freePort(0)}`);
  if (asked !== "" || (await freePort(USUAL_PORT)) !== null) return undefined;
  const port = await freePort(0);
  log(`port ${USUAL_PORT} is in use; taking ${port} (BERTH_LISTEN chooses another)`);
  return `${HOST}:${port}`;
}

/** The port if it can be listened on, any free one for 0; null when it is in use. */
async function freePort(port: number): Promise<number | null> {
  const server = createServer();
  try {
    server.listen({ host: HOST, port });
    await once(server, "listening");
    return (server.address() as { port: number }).port;
  } catch {
    return null;
  } finally {
    server.close();
  }
}
