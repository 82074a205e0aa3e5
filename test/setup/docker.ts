import { execFile, spawn } from "node:child_process";
import { mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { promisify } from "node:util";

const run = promisify(execFile);

/** From installing to answering takes seconds; a slow mirror makes it a minute. */
const INSTALL_TIMEOUT_MS = 300_000;
const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 30_000;

export interface TestDocker extends AsyncDisposable {
  /** Value for DOCKER_HOST where it is not the default; undefined is what the environment says. */
  readonly host: string | undefined;
}

/**
 * A Docker Engine that answers: the one that is there, or one that is started here (and, as root on Debian or Ubuntu,
 * installed first). Disposing it stops only what was started here.
 */
export async function ensureDocker(): Promise<TestDocker> {
  if (await answers()) return { host: undefined, [Symbol.asyncDispose]: async () => {} };
  if (process.getuid?.() !== 0) {
    throw new Error("The tests need a Docker Engine: start one, or run them as root on Debian or Ubuntu.");
  }
  await ensurePackages(["docker.io", "iptables"], "dockerd");
  return startEngine();
}

async function startEngine(): Promise<TestDocker> {
  const folder = mkdtempSync(join(tmpdir(), "berth-test-dockerd-"));
  const logFile = join(folder, "dockerd.log");
  const log = openSync(logFile, "a");
  const engine = spawn("dockerd", [], { stdio: ["ignore", log, log], detached: true });
  const ended = new Promise<string>((resolve) => {
    engine.once("error", (error) => resolve(error.message));
    engine.once("exit", (code, signal) => resolve(`dockerd ended with ${code ?? signal}`));
  });
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (!(await answers())) {
    const end = await Promise.race([ended, setTimeout(100, null)]);
    if (end !== null || Date.now() > deadline) {
      engine.kill();
      throw new Error(
        `No Docker Engine could be started: ${end ?? "no answer in time"}\n${readFileSync(logFile, "utf8").slice(-4000)}`,
      );
    }
  }
  return {
    host: undefined,
    async [Symbol.asyncDispose]() {
      engine.kill("SIGTERM");
      if ((await Promise.race([ended, setTimeout(STOP_TIMEOUT_MS, null, { ref: false })])) === null)
        engine.kill("SIGKILL");
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const TEST_IMAGE = "berth-test/busybox:1";

/**
 * The name of a small image with busybox under all its names in /bin, and a world-writable /tmp. Made once per engine
 * from the distribution's static busybox, so that no registry is needed.
 */
export function testImage(): Promise<string> {
  making ??= makeTestImage();
  return making;
}

let making: Promise<string> | undefined;

async function makeTestImage(): Promise<string> {
  if (await succeeds("docker", ["image", "inspect", TEST_IMAGE])) return TEST_IMAGE;
  const busybox = await staticBusybox();
  const folder = mkdtempSync(join(tmpdir(), "berth-test-image-"));
  try {
    const script = `
      set -e
      mkdir -p bin etc root && mkdir -m 1777 tmp
      cp ${busybox} bin/busybox
      for applet in $(bin/busybox --list); do [ "$applet" = busybox ] || ln -s busybox "bin/$applet"; done
      echo root:x:0:0::/root:/bin/sh >etc/passwd
      tar -c . | docker import --change 'ENV PATH=/bin' - ${TEST_IMAGE}`;
    await run("sh", ["-c", script], { cwd: folder });
    return TEST_IMAGE;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function staticBusybox(): Promise<string> {
  const path = "/bin/busybox";
  const isStatic = async () => (await succeeds(path, ["true"])) && !(await succeeds("ldd", [path]));
  if (await isStatic()) return path;
  await ensurePackages(["busybox-static"], null);
  if (await isStatic()) return path;
  throw new Error("The tests need a static busybox: apt-get install busybox-static");
}

/** Installs packages of the distribution, unless `program` is there already. */
export async function ensurePackages(packages: readonly string[], program: string | null): Promise<void> {
  if (program !== null && (await succeeds("sh", ["-c", `command -v ${program}`]))) return;
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const install = ["install", "-y", "--no-install-recommends", ...packages];
  try {
    await run("apt-get", ["update"], { env, timeout: INSTALL_TIMEOUT_MS });
    await run("apt-get", install, { env, timeout: INSTALL_TIMEOUT_MS });
  } catch (error) {
    throw new Error(`The tests need ${packages.join(", ")}, and apt-get could not install that.`, { cause: error });
  }
}

function answers(): Promise<boolean> {
  return succeeds("docker", ["version", "--format", "{{.Server.Version}}"]);
}

async function succeeds(file: string, args: readonly string[]): Promise<boolean> {
  try {
    await run(file, args);
    return true;
  } catch {
    return false;
  }
}
