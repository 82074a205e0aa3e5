import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { BerthError } from "../../protocol/errors.ts";
import type { ProgramTree } from "./program-tree.ts";
import type { ProgramUser } from "./program-user.ts";

/** How PostgreSQL's programs are started here: from where, and as whom. */
export interface Programs {
  readonly tree: ProgramTree;
  readonly user: ProgramUser | null;
  /** What a program is told as its data folder, given that it is started inside of it. */
  readonly dataFolderName: (dataFolder: string) => string;
}

export function programs(tree: ProgramTree, user: ProgramUser | null): Programs {
  return {
    tree,
    user,
    // Another user may have no way through the folders above (BERTH_HOME below /root). The working folder is entered
    // while still root, and this link leads to it without a look at what is above.
    dataFolderName: (dataFolder) => (user === null ? dataFolder : "/proc/self/cwd"),
  };
}

export interface ProgramCall {
  readonly dataFolder: string;
  readonly args: readonly string[];
}

/** Starts a program inside its data folder, in its own session, so that a Ctrl-C for the server is not one for it. */
export function startProgram(
  { tree, user, dataFolderName }: Programs,
  name: "postgres" | "initdb",
  { dataFolder, args }: ProgramCall,
  output: number | "pipe",
): ChildProcess {
  return spawn(join(tree.bin, name), ["-D", dataFolderName(dataFolder), ...args], {
    cwd: dataFolder,
    detached: true,
    // PostgreSQL gets nothing of our environment: PGDATA, PGPORT or a locale of the user would change what it does.
    env: { LC_ALL: "C", PATH: "/usr/local/bin:/usr/bin:/bin" },
    stdio: ["ignore", output, output, tree.installation],
    ...(user === null ? {} : { uid: user.uid, gid: user.gid }),
  });
}

/** Runs a program to its end; throws with what it said when it fails. */
export async function runProgram(how: Programs, name: "postgres" | "initdb", call: ProgramCall): Promise<void> {
  const child = startProgram(how, name, call, "pipe");
  let said = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
  }
  const code = await new Promise<number | string | null>((done) => {
    child.once("error", (error) => {
      said += error.message;
      done(null);
    });
    child.once("close", (status, signal) => done(status ?? signal));
  });
  if (code !== 0) throw programFailed(name, call.dataFolder, said);
}

/** The error for a program that ended with these last words. */
export function programFailed(name: string, dataFolder: string, said: string): BerthError {
  if (/No space left on device|Disk quota exceeded/i.test(said)) {
    return new BerthError("storage_full", `PostgreSQL cannot start: the disk of ${dataFolder} is full`, {
      advice: "Free space there and start again; nothing was lost.",
    });
  }
  const words = said
    .split("\n")
    .filter((line) => /FATAL|ERROR|error:|HINT|DETAIL|could not/.test(line))
    .slice(-4);
  const reason = (words.length > 0 ? words : said.trim().split("\n").slice(-4)).join("; ");
  return new BerthError("unavailable", `${name} of the embedded PostgreSQL in ${dataFolder} failed: ${reason}`, {
    advice: "Read the file `log` beside the data folder, or set DATABASE_URL to a PostgreSQL server of your own.",
  });
}
