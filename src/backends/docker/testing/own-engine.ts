import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { promisify } from "node:util";

const run = promisify(execFile);
const START_TIMEOUT_MS = 60_000;

/**
 * A second engine beside the machine's own, which a test may kill. It lives in a network namespace of its own: an
 * engine changes the machine's bridges and packet filter, even one that is told to use none (it removes them).
 */
export class OwnEngine implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), "berth-engine-"));
  readonly host = `unix://${this.folder}/docker.sock`;
  #process: ChildProcess | null = null;

  /** Why no second engine can be had here; false when it can. */
  static unavailable(): string | false {
    if (process.getuid?.() !== 0) return "a second engine needs root";
    try {
      execFileSync("unshare", ["--net", "dockerd", "--version"], { stdio: "ignore" });
      return false;
    } catch {
      return "a second engine needs dockerd and network namespaces on this machine";
    }
  }

  async start(): Promise<void> {
    const log = openSync(join(this.folder, "log"), "a");
    const paths = ["--data-root", "data", "--exec-root", "exec", "--pidfile", "pid"];
    const args = paths.map((word) => (word.startsWith("--") ? word : join(this.folder, word)));
    const noNetworks = ["--bridge", "none", "--iptables=false", "--ip-masq=false"];
    const engine = ["dockerd", ...args, "--host", this.host, ...noNetworks];
    this.#process = spawn("unshare", ["--net", ...engine], { stdio: ["ignore", log, log] });
    const deadline = performance.now() + START_TIMEOUT_MS;
    while (!(await this.#answers())) {
      if (performance.now() > deadline || this.#process.exitCode !== null) {
        throw new Error(
          `the second engine did not start:\n${readFileSync(join(this.folder, "log"), "utf8").slice(-4000)}`,
        );
      }
      await setTimeout(100);
    }
  }

  async stop(signal: NodeJS.Signals): Promise<void> {
    const engine = this.#process;
    this.#process = null;
    if (engine === null || engine.exitCode !== null || engine.signalCode !== null) return;
    const containerd = readFileSync(join(this.folder, "exec/containerd/containerd.pid"), "utf8");
    const ended = once(engine, "exit");
    engine.kill(signal);
    await ended;
    // It follows its engine a moment later; until then, the next engine would take it for its own.
    while (existsSync(`/proc/${containerd}`)) await setTimeout(20);
  }

  /** Copies an image from the machine's own engine. */
  async take(image: string): Promise<void> {
    await run("sh", ["-c", `docker save ${image} | docker -H ${this.host} load`]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Containers outlive an engine that was killed; only an engine can remove them.
    if (this.#process === null) await this.start();
    await run("sh", ["-c", `docker -H ${this.host} ps -aq | xargs -r docker -H ${this.host} rm -f`]);
    await this.stop("SIGTERM");
    await run("sh", ["-c", `awk '{print $2}' /proc/mounts | grep "^${this.folder}/" | xargs -r umount -l`]);
    rmSync(this.folder, { recursive: true, force: true });
  }

  async #answers(): Promise<boolean> {
    try {
      await run("docker", ["-H", this.host, "version"]);
      return true;
    } catch {
      return false;
    }
  }
}
