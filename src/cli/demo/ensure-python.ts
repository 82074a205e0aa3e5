import { CliError } from "../cli-error.ts";
import { findProgram } from "./system.ts";

/** Without containers the steps use this machine's own Python. */
export function ensurePython(): void {
  if (findProgram("python3") !== null) return;
  throw new CliError("The demo's steps are Python, and there is no python3 on this machine.", {
    advice: ["Install Python 3, or use Docker: berth demo"],
  });
}
