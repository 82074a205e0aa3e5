import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { CliError } from "../cli-error.ts";
import type { CliContext } from "../context.ts";
import { berthHome, homeFiles } from "../platform/home.ts";
import { openLog } from "../platform/log-file.ts";
import type { DockerEngine } from "./docker-engine.ts";
import { installPackages } from "./install-packages.ts";
import { findProgram, runLogged, type System } from "./system.ts";

const OTHERWISE = [
  "Without Docker: `berth demo --backend process` runs the same pipeline in plain processes.",
  "Or install Docker yourself and start this again.",
];
const PACKAGES = ["docker.io", "iptables"];
const START_TIMEOUT_MS = 45_000;
const LOOK_INTERVAL_MS = 200;

/** Makes sure that a Docker Engine answers: installs and starts one where that is allowed and possible. */
export async function ensureDocker(context: CliContext, engine: DockerEngine, system: System): Promise<void> {
  const answer = await engine.ping();
  if (answer === "ok") return;
  if (answer === "denied") throw notForThisUser();
  if (findProgram("dockerd") === null) await installPackages(context, system, PACKAGES, "Docker Engine", OTHERWISE);
  await startEngine(context, engine, system);
}

function notForThisUser(): CliError {
  return new CliError("Docker Engine runs on this machine, but this user may not use it.", {
    advice: ["Join its group and log in again: sudo usermod -aG docker $USER", ...OTHERWISE],
  });
}

async function startEngine(context: CliContext, engine: DockerEngine, system: System): Promise<void> {
  if (system.asRoot === null) {
    throw new CliError("Docker Engine is installed but does not run, and starting it needs root or sudo.", {
      advice: OTHERWISE,
    });
  }
  const { note, noteStyle } = context.console;
  const logs = homeFiles(berthHome(context.env)).logs;
  mkdirSync(logs, { recursive: true, mode: 0o700 });
  const logFile = join(logs, "dockerd.log");
  // The package may have started it already, on a machine with an init system.
  if ((await engine.ping()) !== "ok") {
    const logFd = openLog(logFile);
    if (existsSync("/run/systemd/system")) {
      note("Starting Docker Engine (systemctl start docker).");
      await runLogged([...system.asRoot, "systemctl", "start", "docker"], logFd);
    } else {
      note("Starting Docker Engine in the background, since this machine has no init system that would.");
      const pid = startDetached([...system.asRoot, findProgram("dockerd") ?? "dockerd"], logFd);
      note(noteStyle.dim(`  process ${pid}, log in ${logFile}; it stays until you stop it (kill ${pid})`));
    }
    closeSync(logFd);
  }
  await answering(engine, logFile);
}

function startDetached(command: readonly string[], logFd: number): number | undefined {
  const [program, ...args] = command as [string, ...string[]];
  const child = spawn(program, args, { detached: true, stdio: ["ignore", logFd, logFd] });
  child.on("error", () => {}); // Shows as an engine that does not answer.
  child.unref();
  return child.pid;
}

async function answering(engine: DockerEngine, logFile: string): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (performance.now() < deadline) {
    const answer = await engine.ping();
    if (answer === "ok") return;
    if (answer === "denied") throw notForThisUser();
    await sleep(LOOK_INTERVAL_MS);
  }
  throw new CliError(`Docker Engine was started but did not answer within ${START_TIMEOUT_MS / 1000} s.`, {
    advice: [`Its log says more: ${logFile} (or: journalctl -u docker)`, ...OTHERWISE],
  });
}
