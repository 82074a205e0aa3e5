import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { BackendHarness } from "../../contract/harness.ts";
import type { BackendSession } from "../../execution-backend.ts";
import { dockerBackend } from "../docker-backend.ts";

const run = promisify(execFile);

/** What a session of the tests is opened with; plain data, so that another process can open one too. */
export interface TestInstallation {
  readonly installation: string;
  readonly stateFolder: string;
  /** Of the backend; by default the machine's own engine, as it is. */
  readonly settings: EngineSettings;
}

export interface EngineSettings {
  readonly host?: string;
  readonly builder?: "buildkit" | "classic";
}

export function openSession({ installation, stateFolder, settings }: TestInstallation): Promise<BackendSession> {
  return dockerBackend.open({ installation, stateFolder, settings: { ...settings } });
}

export interface DockerHarness extends BackendHarness {
  /** The docker command on this harness's engine. */
  docker(...args: readonly string[]): Promise<string>;
}

/** The docker command on the machine's own engine, for what happens behind Berth's back. */
export async function docker(...args: readonly string[]): Promise<string> {
  return (await run("docker", args)).stdout.trim();
}

/** Sessions of a fresh installation on one engine, as the contract suite wants them. */
export function dockerHarness(image: string, settings: EngineSettings = {}): DockerHarness {
  const { host } = settings;
  const folder = mkdtempSync(join(tmpdir(), "berth-docker-test-"));
  const test: TestInstallation = {
    installation: `test-${randomBytes(4).toString("hex")}`,
    stateFolder: join(folder, "state"),
    settings,
  };
  const onEngine = (...args: readonly string[]) => docker(...(host === undefined ? [] : ["--host", host]), ...args);
  let folders = 0;
  return {
    docker: onEngine,
    backendName: "docker",
    installation: test.installation,
    open: () => openSession(test),
    image: async () => image,
    async makeFolder() {
      const attempt = join(folder, `attempt-${folders++}`);
      for (const name of ["out", "tmp", "ctl"]) mkdirSync(join(attempt, name), { recursive: true, mode: 0o700 });
      mkdirSync(join(attempt, "in"));
      return attempt;
    },
    async removeFolder(attempt) {
      rmSync(attempt, { recursive: true, force: true });
    },
    fakeCommand: null,
    async destroyObject({ name }) {
      await onEngine("rm", "--force", name);
    },
    async unreachable() {
      return openSession({ ...test, settings: { host: `unix://${join(folder, "no-engine.sock")}` } });
    },
    elsewhere: { module: import.meta.url, export: "openSession", argument: test },
    effort: { instantExits: 12, races: 6 },
    async close() {
      const built = await onEngine("images", "--quiet", `berth-contract/${test.installation}`);
      if (built !== "") await onEngine("rmi", "--force", ...new Set(built.split("\n")));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
