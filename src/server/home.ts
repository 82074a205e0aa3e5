import { chmodSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BerthError } from "../protocol/errors.ts";
import { tryLock } from "../std/file-lock.ts";
import { makeFolder } from "../std/make-folder.ts";

/**
 * The private folder of one server, 0700:
 *
 *     server.lock    held as long as the server lives
 *     server.json    where it listens: how commands on this machine find it
 *     admin-token    full rights, for the user who owns the folder; 0600
 *     secret-key     what secrets in the embedded database are sealed under; 0600
 *     provenance-key what provenance is signed with; 0600
 *     tls/           the server's own authority and certificate, where it makes them
 *     postgres/      the embedded PostgreSQL
 *     objects/       blobs of 10 MiB and more
 */
export interface ServerHome extends Disposable {
  readonly postgresFolder: string;
  readonly adminTokenFile: string;
  readonly secretKeyFile: string;
  readonly provenanceKeyFile: string;
  readonly tlsFolder: string;
  /** Tells commands on this machine where the server listens, until dispose. */
  announce(facts: ServerFacts): void;
}

export interface ServerFacts {
  readonly url: string;
  /** How commands on this machine know it; null without TLS. */
  readonly tls: {
    readonly caFile: string;
    readonly caFingerprint: string | null;
    readonly serverName: string | null;
  } | null;
  /** Where other machines reach it; null where they do not. */
  readonly workerUrl: string | null;
  readonly pid: number;
  readonly version: string;
  readonly startedAt: string;
}

/** Opens the folder for one server; a second one on the same folder is refused. */
export function openHome(folder: string): ServerHome {
  makeFolder(folder);
  chmodSync(folder, 0o700);
  const serverFile = join(folder, "server.json");
  const lock = tryLock(join(folder, "server.lock"));
  if (lock === null) throw inUse(folder, serverFile);
  // What a killed server announced is no longer true.
  rmSync(serverFile, { force: true });
  return {
    postgresFolder: join(folder, "postgres"),
    adminTokenFile: join(folder, "admin-token"),
    secretKeyFile: join(folder, "secret-key"),
    provenanceKeyFile: join(folder, "provenance-key"),
    tlsFolder: join(folder, "tls"),
    announce: (facts) => writePrivate(serverFile, `${JSON.stringify(facts)}\n`),
    [Symbol.dispose]: () => {
      rmSync(serverFile, { force: true });
      lock[Symbol.dispose]();
    },
  };
}

/** Replaces a file that only its owner may read, in one step. */
export function writePrivate(file: string, text: string): void {
  const temporary = `${file}.new`;
  rmSync(temporary, { force: true });
  writeFileSync(temporary, text, { mode: 0o600, flush: true });
  renameSync(temporary, file);
}

function inUse(folder: string, serverFile: string): BerthError {
  let where = "";
  try {
    const { pid, url } = JSON.parse(readFileSync(serverFile, "utf8")) as ServerFacts;
    where = ` (process ${pid}, ${url})`;
  } catch {
    // It is only just starting.
  }
  return new BerthError("unavailable", `Another server uses ${folder}${where}.`, {
    advice: "Use that one, stop it first, or set BERTH_HOME to another folder.",
  });
}

export function readAdminToken(file: string): string | null {
  return existsSync(file) ? readFileSync(file, "utf8").trim() : null;
}
