import { join } from "node:path";

/** The shim's binary for an architecture, in Node's names. It is static and runs on any Linux of that architecture. */
export function shimPath(arch: string = process.arch): string {
  if (arch !== "x64" && arch !== "arm64") {
    throw new Error(`Berth has no shim for ${arch}: it runs steps on x64 and arm64 Linux.`);
  }
  return join(import.meta.dirname, "bin", `berth-shim-linux-${arch}`);
}
