import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";

export const SUPERUSER = "berth";

/**
 * The folder of one embedded PostgreSQL:
 *
 *     data/       PostgreSQL's own, belongs to the user that it runs as
 *     password    of the superuser, 0600
 *     port        on loopback; kept, so that a restart under the server's feet needs no new address
 *     log         what PostgreSQL says; log.1 is the one before
 *     programs    where a copy of the programs lies, if one was needed
 */
export interface Cluster {
  readonly folder: string;
  readonly data: string;
  readonly password: string;
  readonly logFile: string;
  readonly programsNote: string;
}

export function openCluster(folder: string): Cluster {
  mkdirSync(folder, { recursive: true, mode: 0o711 });
  // The other user passes through on its way from data/ to the initial password; it cannot list the folder.
  chmodSync(folder, 0o711);
  return {
    folder,
    data: join(folder, "data"),
    password: keptPassword(join(folder, "password")),
    logFile: join(folder, "log"),
    programsNote: join(folder, "programs"),
  };
}

export function isInitialised(cluster: Cluster): boolean {
  return existsSync(join(cluster.data, "PG_VERSION"));
}

export function clusterUrl(cluster: Cluster, port: number, database: string): string {
  return `postgres://${SUPERUSER}:${cluster.password}@127.0.0.1:${port}/${database}`;
}

/** The port of the last start if it is free, else another free one, which is kept from then on. */
export async function keptPort(cluster: Cluster): Promise<number> {
  const file = join(cluster.folder, "port");
  const kept = existsSync(file) ? Number(readFileSync(file, "utf8")) : 0;
  const port = (kept > 0 ? await bindablePort(kept) : null) ?? (await bindablePort(0));
  if (port === null) throw new Error("no free port on 127.0.0.1");
  if (port !== kept) writeAtomically(file, String(port));
  return port;
}

/** The port that could be bound, or null. */
async function bindablePort(wanted: number): Promise<number | null> {
  const server = createServer();
  return await new Promise((done) => {
    server.once("error", () => done(null));
    server.listen({ port: wanted, host: "127.0.0.1", exclusive: true }, () => {
      const address = server.address();
      server.close(() => done(typeof address === "object" && address !== null ? address.port : null));
    });
  });
}

function keptPassword(file: string): string {
  if (!existsSync(file)) writeAtomically(file, randomBytes(24).toString("base64url"));
  return readFileSync(file, "utf8").trim();
}

function writeAtomically(file: string, text: string): void {
  const temporary = `${file}.new`;
  rmSync(temporary, { force: true });
  writeFileSync(temporary, text, { mode: 0o600, flush: true });
  renameSync(temporary, file);
}
