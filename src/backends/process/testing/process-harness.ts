import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BackendHarness } from "../../contract/harness.ts";
import type { BackendOptions, BackendSession } from "../../execution-backend.ts";
import { findShims, findStrays } from "../proc.ts";
import { processBackend } from "../process-backend.ts";
import { sendSignal } from "../send-signal.ts";

/** For a second process too: it gets the options as JSON. */
export function openSession(options: BackendOptions): Promise<BackendSession> {
  return processBackend().open(options);
}

/** Plain processes of this machine, with everything in a temporary folder, as the contract suite wants them. */
export async function processHarness(): Promise<BackendHarness> {
  const root = await mkdtemp(join(tmpdir(), "berth-process-test-"));
  const options = { installation: "contract", stateFolder: join(root, "state"), settings: {} };
  return {
    backendName: "process",
    installation: options.installation,
    open: () => openSession(options),
    image: async () => null,
    async makeFolder() {
      const folder = await mkdtemp(join(root, "attempt-"));
      for (const part of ["in", "out", "tmp", "ctl"]) await mkdir(join(folder, part));
      return folder;
    },
    removeFolder: (folder) => rm(folder, { recursive: true, force: true }),
    fakeCommand: null,
    async destroyObject({ folder }) {
      const shim = findShims().get(join(folder, "ctl"));
      if (shim !== undefined) sendSignal(shim, "SIGKILL");
      for (const pid of findStrays(folder)) sendSignal(pid, "SIGKILL");
    },
    // The folder of the claims is gone, as on an unmounted disk.
    async unreachable() {
      const stateFolder = join(root, "unmounted");
      const session = await openSession({ ...options, stateFolder });
      await rm(stateFolder, { recursive: true });
      await writeFile(stateFolder, "");
      return session;
    },
    elsewhere: { module: import.meta.url, export: "openSession", argument: options },
    effort: { instantExits: 200, races: 100 },
    close: () => rm(root, { recursive: true, force: true }),
  };
}
