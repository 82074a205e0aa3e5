import { fault } from "../../protocol/faults.ts";
import { shimPath } from "../../shim/shim-path.ts";
import { BackendError, type BackendOptions, type BackendSession, type ExecutionBackend } from "../execution-backend.ts";
import { Claims } from "./claims.ts";
import { onPlatform } from "./platform-error.ts";
import { ProcessSession } from "./process-session.ts";

export interface ProcessBackendOptions {
  /** Path of the shim's program; by default the one that comes with Berth for this architecture. */
  readonly shim?: string;
}

/**
 * Steps as plain processes of the worker: no image, no isolation, no limits, and as fast as the system starts
 * programs. For trusted work, for machines without a container engine, and for tests.
 */
export function processBackend({ shim }: ProcessBackendOptions = {}): ExecutionBackend {
  return {
    name: "process",
    async open({ installation, stateFolder, settings }: BackendOptions): Promise<BackendSession> {
      refuseSettings(settings);
      if (process.platform !== "linux") throw notLinux();
      const claims = onPlatform("make the backend's state folder", () => new Claims(stateFolder));
      return new ProcessSession({ name: "process", installation, claims, shim: shim ?? shimPath() });
    },
  };
}

function refuseSettings(settings: Readonly<Record<string, unknown>>): void {
  const unknown = Object.keys(settings);
  if (unknown.length === 0) return;
  const message = `The process backend has no settings, but the agent's configuration has: ${unknown.join(", ")}.`;
  throw new BackendError("spec-unsupported", fault("spec-unsupported", message, { advice: "Remove these settings." }));
}

function notLinux(): BackendError {
  const message = `The process backend needs Linux, because its shim does; this is ${process.platform}.`;
  return new BackendError("spec-unsupported", fault("spec-unsupported", message));
}
