import { closeSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { CliError } from "../cli-error.ts";
import type { CliContext } from "../context.ts";
import { berthHome, homeFiles } from "../platform/home.ts";
import { openLog } from "../platform/log-file.ts";
import { runLogged, type System } from "./system.ts";

/**
 * Installs packages of the distribution, after saying so. `purpose` is what for; `otherwise` is what the user can do
 * where this is not possible or not wanted.
 */
export async function installPackages(
  context: CliContext,
  system: System,
  packages: readonly string[],
  purpose: string,
  otherwise: readonly string[],
): Promise<void> {
  const install = ["apt-get", "install", "-y", "--no-install-recommends", ...packages];
  if (!context.mayInstall) {
    throw new CliError(`${purpose} is needed, and --no-install was given.`, {
      advice: [`It can be installed by: ${install.join(" ")}`, ...otherwise],
    });
  }
  if (system.distribution === null || system.asRoot === null) {
    const why =
      system.distribution === null
        ? "Berth can install it on Debian and Ubuntu only"
        : "installing it needs root or sudo";
    throw new CliError(`${purpose} is needed; ${why}.`, { advice: otherwise });
  }
  const logFile = join(homeFiles(berthHome(context.env)).logs, "install.log");
  context.console.note(`${purpose} is missing. Installing it from ${system.distribution.id}'s packages:`);
  context.console.note(
    context.console.noteStyle.dim(`  ${[...system.asRoot, ...install].join(" ")}   (output in ${logFile})`),
  );
  await runApt(system.asRoot, install, logFile);
}

async function runApt(asRoot: readonly string[], install: readonly string[], logFile: string): Promise<void> {
  mkdirSync(join(logFile, ".."), { recursive: true, mode: 0o700 });
  const logFd = openLog(logFile);
  const noQuestions = ["env", "DEBIAN_FRONTEND=noninteractive"];
  try {
    // A package list that is out of date, or was never fetched, is the usual reason for not finding a package.
    const updated = await runLogged([...asRoot, ...noQuestions, "apt-get", "update"], logFd);
    const installed = await runLogged([...asRoot, ...noQuestions, ...install], logFd);
    if (installed === 0) return;
    const failed = updated === 0 ? install.join(" ") : "apt-get update";
    throw new CliError(`\`${failed}\` did not succeed.`, { advice: [`Its output is in ${logFile}.`] });
  } finally {
    closeSync(logFd);
  }
}
