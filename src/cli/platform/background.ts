import { spawn } from "node:child_process";
import { closeSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { CliError } from "../cli-error.ts";
import type { CliContext } from "../context.ts";
import { homeFiles, makeHome } from "./home.ts";
import { openLog } from "./log-file.ts";

/** What a supervisor in the background tells the command that started it. */
export type BackgroundMessage =
  | { readonly type: "ready" }
  /** Another one was faster, which is as good. */
  | { readonly type: "already-up" }
  | { readonly type: "failed"; readonly message: string; readonly advice: readonly string[] };

/**
 * Starts `berth up` as a process of its own and returns when it is ready, or throws why it is not. It also returns when
 * that process was killed, about which nothing can be said but that another start makes sense.
 */
export async function startInBackground(context: CliContext, home: string): Promise<void> {
  const files = homeFiles(makeHome(home));
  mkdirSync(files.logs, { recursive: true, mode: 0o700 });
  const logFile = join(files.logs, "up.log");
  const logFd = openLog(logFile);
  const [program, ...args] = context.programs.self;
  const child = spawn(program, [...args, "up", "--background"], {
    env: { ...context.env, BERTH_HOME: home },
    cwd: home,
    detached: true,
    stdio: ["ignore", logFd, logFd, "ipc"],
  });
  closeSync(logFd);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  child.on("message", (message: BackgroundMessage) => {
    if (message.type === "failed") reject(new CliError(message.message, { advice: message.advice }));
    else resolve();
  });
  child.on("error", reject);
  child.on("exit", (code, signal) => {
    if (signal !== null) resolve();
    const message = `Berth could not be started: it ended (${code}) before it was ready.`;
    reject(new CliError(message, { advice: [`Its log says more: ${logFile}`] }));
  });
  try {
    await promise;
  } finally {
    if (child.connected) child.disconnect();
    child.unref();
  }
}
