import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { CliContext, Programs } from "../context.ts";
import { runCli } from "../program.ts";
import { captureConsole } from "./captured-console.ts";

export interface CapturedRun {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Programs that no command under test is to start. */
const NO_PROGRAMS: Programs = {
  self: ["false"],
  startServer: unexpected,
  startAgent: unexpected,
  registerAgent: unexpected,
  changeTrust: unexpected,
  loadBackends: unexpected,
  registeredWorker: async () => null,
  checkPolicy: unexpected,
  cacheCare: unexpected,
  imageCare: unexpected,
};

async function unexpected(): Promise<never> {
  throw new Error("this command is not to start a program");
}

/** Runs a command line in this process, in a home of its own that is empty and is removed again. */
export async function runCaptured(argv: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<CapturedRun> {
  const home = mkdtempSync(join(tmpdir(), "berth-home-"));
  const console = captureConsole();
  const context: CliContext = {
    env: { BERTH_HOME: home, ...env },
    console,
    version: "1.2.3",
    root: resolve(import.meta.dirname, "../../.."),
    mayInstall: false,
    programs: NO_PROGRAMS,
  };
  try {
    const exitCode = await runCli(argv, context);
    return { exitCode, stdout: console.stdout(), stderr: console.stderr() };
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}
