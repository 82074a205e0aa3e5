import { chmodSync, chownSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Cluster, SUPERUSER } from "./cluster.ts";
import { type Programs, runProgram } from "./program.ts";

/** Makes the data folder. A folder that a crash left half made is thrown away: only the rename makes it count. */
export async function initialise(cluster: Cluster, programs: Programs, sync: boolean): Promise<void> {
  const unfinished = `${cluster.data}.new`;
  const passwordFile = join(cluster.folder, "initial-password");
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished, { mode: 0o700 });
  writeFileSync(passwordFile, `${cluster.password}\n`, { mode: 0o600 });
  if (programs.user !== null) {
    for (const path of [unfinished, passwordFile]) chownSync(path, programs.user.uid, programs.user.gid);
  }
  try {
    await runProgram(programs, "initdb", {
      dataFolder: unfinished,
      args: [
        `--username=${SUPERUSER}`,
        // Relative to the data folder, because the folders above may be closed to the other user.
        `--pwfile=${programs.dataFolderName(unfinished)}/../initial-password`,
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--no-instructions",
        ...(sync ? [] : ["--no-sync"]),
      ],
    });
    chmodSync(unfinished, 0o700);
    renameSync(unfinished, cluster.data);
  } catch (error) {
    rmSync(unfinished, { recursive: true, force: true });
    throw error;
  } finally {
    rmSync(passwordFile, { force: true });
  }
}
