import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { removeTree } from "../../src/std/remove-tree.ts";

/** Berth as a user has it: the launcher, a home of its own, and a folder with pipeline files. */

export const LAUNCHER = resolve(import.meta.dirname, "../../berth");
/** Far more than anything takes on a busy machine. */
const DEADLINE_MS = 120_000;
const LOOK_INTERVAL_MS = 20;
const INSTALLATION_LABEL = "berth.installation";

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command that runs; `output` is what it has said so far. */
export interface Started {
  readonly child: ChildProcess;
  readonly output: { stdout: string; stderr: string };
  readonly ended: Promise<Ended>;
}

export type Part = "agent" | "server" | "PostgreSQL" | "supervisor";

export class ScenarioPlatform implements AsyncDisposable {
  readonly folder = realpathSync(mkdtempSync(join(tmpdir(), "berth-scenario-")));
  readonly home = join(this.folder, "home");
  /** Where the user works: pipeline files, with their sources beside them. */
  readonly project = join(this.folder, "project");
  /** What commands see. */
  readonly env: NodeJS.ProcessEnv;

  /** Nothing is started: the first command that needs a server does that. */
  constructor(env: Readonly<Record<string, string>> = {}) {
    mkdirSync(this.home, { mode: 0o700 });
    mkdirSync(this.project);
    // Whoever runs the tests may have little disk left, which is another test's business.
    mkdirSync(join(this.home, "local-agent"));
    writeFileSync(join(this.home, "local-agent/config.json"), JSON.stringify({ diskFreeMinBytes: 0, graceMs: 1_000 }));
    const { PATH, DOCKER_HOST } = process.env;
    this.env = {
      PATH,
      HOME: this.folder,
      BERTH_HOME: this.home,
      BERTH_LISTEN: "127.0.0.1:0",
      ...(DOCKER_HOST === undefined ? {} : { DOCKER_HOST }),
      ...env,
    };
  }

  start(args: readonly string[], env: Readonly<Record<string, string>> = {}): Started {
    const child = spawn(LAUNCHER, args, {
      cwd: this.project,
      env: { ...this.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const output = { stdout: "", stderr: "" };
    for (const stream of ["stdout", "stderr"] as const) {
      child[stream].setEncoding("utf8").on("data", (text: string) => {
        output[stream] += text;
      });
    }
    return { child, output, ended: once(child, "close").then(([code]) => ({ code, ...output })) };
  }

  berth(...args: string[]): Promise<Ended> {
    return this.start(args).ended;
  }

  /** Writes a file beside the pipelines; what is no text becomes JSON, which pipeline files may be. */
  write(name: string, content: string | object): string {
    const file = join(this.project, name);
    mkdirSync(resolve(file, ".."), { recursive: true });
    writeFileSync(file, typeof content === "string" ? content : JSON.stringify(content));
    return name;
  }

  endpoint(): { readonly url: string; readonly token: string } {
    const { url } = JSON.parse(readFileSync(join(this.home, "server.json"), "utf8")) as { url: string };
    return { url, token: readFileSync(join(this.home, "admin-token"), "utf8").trim() };
  }

  /** Process id of a part, which is up. */
  pidOf(part: Part): number {
    const pid = this.findPid(part);
    // Signals to 0 would go to the tests themselves.
    assert.ok(pid !== null && pid > 1, `there is no ${part}`);
    return pid;
  }

  /** The same; null while it is not up. */
  findPid(part: Part): number | null {
    try {
      if (part === "PostgreSQL") {
        return Number(readFileSync(join(this.home, "postgres/data/postmaster.pid"), "utf8").split("\n")[0]);
      }
      const supervisor = (JSON.parse(readFileSync(join(this.home, "up.json"), "utf8")) as { pid: number }).pid;
      if (part === "supervisor") return supervisor;
      const children = readFileSync(`/proc/${supervisor}/task/${supervisor}/children`, "utf8").split(" ");
      const isPart = (pid: string) => readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").includes(part);
      const pid = children.filter((child) => child !== "").find(isPart);
      return pid === undefined ? null : Number(pid);
    } catch {
      return null;
    }
  }

  /** Processes that have to do with this platform: its own, those of PostgreSQL, and those of its steps. */
  processes(): string[] {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .flatMap((pid) => {
        try {
          const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
          const environment = readFileSync(`/proc/${pid}/environ`, "utf8");
          return `${command} ${environment}`.includes(this.folder) ? [`${pid} ${command}`] : [];
        } catch {
          return []; // It ended while it was looked at.
        }
      });
  }

  /** What runs have left: their folders, packed sources, and containers on the engine. */
  leftovers(): string[] {
    const sources = readdirSync(this.home).filter((name) => name.startsWith("source-"));
    return [...readdirSync(join(this.home, "local-agent/runs")), ...sources, ...this.containers()];
  }

  /** Waits until nothing of a run is left: a run has ended a moment before its folder is gone. */
  async tidy(): Promise<void> {
    await until(
      "what runs needed is gone",
      () => this.leftovers().length === 0,
      () => this.leftovers().join("\n"),
    );
  }

  /** Folders of attempts on the platform's own worker that hold this file: of steps that have come so far. */
  attemptsWith(file: string): string[] {
    // Level by level: what vanishes meanwhile is an error to a look at everything at once.
    const attempts = foldersIn(join(this.home, "local-agent/attempts")).flatMap(foldersIn);
    return attempts.filter((attempt) => existsSync(join(attempt, file)));
  }

  /** Names of the containers of this home's installation. */
  containers(): string[] {
    const installation = JSON.parse(readFileSync(join(this.home, "local-agent/agent.json"), "utf8")).installation;
    const filter = `label=${INSTALLATION_LABEL}=${installation}`;
    const { stdout } = spawnSync("docker", ["ps", "--all", "--quiet", "--filter", filter], { encoding: "utf8" });
    return stdout.split("\n").filter((line) => line !== "");
  }

  /** Stops everything, asserts that no process is left, and removes the folder. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { code, stderr } = await this.berth("down");
    assert.equal(code, 0, stderr);
    await until(
      "every process has ended",
      () => this.processes().length === 0,
      () => this.processes().join("\n"),
    );
    await removeTree(this.folder);
  }
}

export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  state: () => string = () => "",
): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  while (!(await condition())) {
    if (performance.now() > deadline) assert.fail(`still not: ${what}\n${state()}`);
    await sleep(LOOK_INTERVAL_MS);
  }
}

function foldersIn(folder: string): string[] {
  try {
    return readdirSync(folder).map((name) => join(folder, name));
  } catch {
    return []; // It is not there yet, or not any more.
  }
}
