import { spawn, spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";

/** The machine, as far as the demo may change it. */
export interface System {
  /** `debian` or `ubuntu` with its codename, or null: only there Berth knows how to install something. */
  readonly distribution: { readonly id: string; readonly codename: string } | null;
  /** What turns a command into one of root's: nothing for root itself, sudo where there is one, else null. */
  readonly asRoot: readonly string[] | null;
}

export function inspectSystem(): System {
  return { distribution: distribution(), asRoot: asRoot() };
}

function distribution(): System["distribution"] {
  if (process.platform !== "linux" || findProgram("apt-get") === null || !existsSync("/etc/os-release")) return null;
  const text = readFileSync("/etc/os-release", "utf8");
  const field = (name: string) => new RegExp(`^${name}="?([^"\\n]*)"?$`, "m").exec(text)?.[1];
  const id = field("ID");
  const codename = field("VERSION_CODENAME");
  return (id === "debian" || id === "ubuntu") && codename ? { id, codename } : null;
}

function asRoot(): readonly string[] | null {
  if (process.getuid?.() === 0) return [];
  const sudo = findProgram("sudo");
  if (sudo === null) return null;
  // Without a terminal nobody can be asked for a password.
  if (process.stdin.isTTY) return [sudo];
  return spawnSync(sudo, ["-n", "true"], { stdio: "ignore" }).status === 0 ? [sudo, "-n"] : null;
}

/** Administrators' programs are not on everybody's PATH. */
const SYSTEM_FOLDERS = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

export function findProgram(name: string): string | null {
  const folders = [...(process.env.PATH ?? "").split(delimiter), ...SYSTEM_FOLDERS];
  for (const folder of folders) {
    const file = join(folder, name);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // Not in this folder.
    }
  }
  return null;
}

/** Runs a command with its output in a log; resolves with its exit code. */
export async function runLogged(
  command: readonly string[],
  logFd: number,
  env: NodeJS.ProcessEnv = process.env,
): Promise<number> {
  const [program, ...args] = command as [string, ...string[]];
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const child = spawn(program, args, { stdio: ["inherit", logFd, logFd], env });
  child.on("error", reject);
  child.on("exit", (code, signal) => resolve(code ?? (signal === null ? 1 : 128)));
  return promise;
}
