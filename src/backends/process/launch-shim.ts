import { existsSync } from "node:fs";
import { join } from "node:path";
import { fault } from "../../protocol/faults.ts";
import { LaunchError, type ShimLauncher, type ShimProcess } from "../../shim/launcher.ts";
import { type AttemptSpec, BackendError, SECRET_LAYOUT } from "../execution-backend.ts";
import { stepEnvironment } from "./step-environment.ts";

/**
 * Starts the shim of an attempt, in a session of its own, so that it outlives the agent and its terminal. When this
 * returns, the shim's program is running; when it throws, nothing was started.
 */
export async function launchShim(launcher: ShimLauncher, spec: AttemptSpec): Promise<ShimProcess> {
  const workingFolder = spec.workingFolder ?? `${spec.folder}/tmp`;
  const controlFolder = `${spec.folder}/ctl`;
  try {
    return await launcher.launch({
      ...{ controlFolder, argv: spec.argv, env: stepEnvironment(spec), workingFolder },
      ...(spec.secrets?.variables === true
        ? { variablesFile: join(spec.secrets.folder, SECRET_LAYOUT.variables) }
        : {}),
    });
  } catch (error) {
    throw error instanceof LaunchError ? inTheCallersTerms(error, workingFolder) : error;
  }
}

function inTheCallersTerms(error: LaunchError, workingFolder: string): BackendError {
  const evidence = { evidence: String(error) };
  if ((error.code === "ENOENT" || error.code === "ENOTDIR") && !existsSync(workingFolder)) {
    const message = `The working folder ${workingFolder} does not exist on the worker.`;
    return new BackendError("spec-unsupported", fault("spec-invalid", message, evidence), { cause: error });
  }
  if (error.code === "EINVAL") {
    const message = "An argument or a variable of the step holds a zero byte, which no program can be given.";
    return new BackendError("spec-unsupported", fault("spec-invalid", message, evidence), { cause: error });
  }
  if (error.code === "E2BIG") {
    const message = "Arguments and environment together are larger than the system allows; pass large values as files.";
    return new BackendError("spec-unsupported", fault("spec-invalid", message, evidence), { cause: error });
  }
  const message = `The process of the step could not be made: its shim was not started (${error.code}).`;
  return new BackendError("unavailable", fault("backend-unavailable", message, evidence), { cause: error });
}
