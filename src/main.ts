import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Logger } from "pino";
import type { ExecutionBackend } from "./backends/execution-backend.ts";
import { CliError } from "./cli/cli-error.ts";
import type { CliContext, Programs } from "./cli/context.ts";
import { homeFiles, makeHome, readIfPresent } from "./cli/platform/home.ts";
import { runCli } from "./cli/program.ts";
import { invalidFile } from "./cli/read-pipeline.ts";
import { createConsole } from "./cli/terminal/console.ts";

/**
 * The composition root: the only file that names the server, the agent and the concrete backends. All of them are
 * loaded when they are started, so that `berth help` costs no more than itself.
 */

const root = resolve(import.meta.dirname, "..");
const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };

const programs: Programs = {
  self: [process.execPath, ...process.execArgv, import.meta.filename],

  async startServer({ env, home }) {
    const { readServerConfig } = await import("./server/config.ts");
    const { startServer } = await import("./server/server.ts");
    return startServer(readServerConfig(env, home), { version, webFolder: join(root, "web/dist") });
  },

  async startAgent({ env, home, server, trust, policy }) {
    const { startAgent } = await import("./agent/agent.ts");
    const agent = await startAgent({
      home,
      backends: await loadBackends(),
      version,
      settings: readSettings(join(home, "config.json")),
      policy: await policyOf(home, policy ?? (env.BERTH_POLICY || undefined)),
      log: await createLog(env),
      ...(server === undefined ? {} : { server }),
      ...(trust === undefined ? {} : { trust }),
    });
    return { ready: agent.ready, closed: agent.closed, close: () => agent.stop() };
  },

  async registerAgent({ home, server, trust, token, name, type }) {
    const { collectCapabilities, diskSpace } = await import("./agent/capabilities.ts");
    const { agentConfig } = await import("./agent/config.ts");
    const { registerAgent } = await import("./agent/register.ts");
    makeHome(home);
    const { freeBytes } = await diskSpace(home);
    // What it can really do is told at each boot; until then no run is given to it.
    const config = agentConfig(readSettings(join(home, "config.json")));
    const capabilities = await collectCapabilities({ config, diskFreeBytes: freeBytes, backends: {} });
    const what = { home, server, trust, token, name, type };
    const identity = await registerAgent({ ...what, agentVersion: version, capabilities });
    return { id: identity.workerId, name: identity.name, server: identity.server };
  },

  async changeTrust(home, choice, server) {
    const { changeTrust } = await import("./agent/change-trust.ts");
    const identity = await changeTrust(home, choice, server);
    return { id: identity.workerId, name: identity.name, server: identity.server };
  },

  async loadBackends(home) {
    const { agentConfig } = await import("./agent/config.ts");
    const { agent, localAgent } = homeFiles(home);
    const settings = readSettings(join(agent, "config.json")) ?? readSettings(join(localAgent, "config.json"));
    const config = agentConfig(settings);
    return (await loadBackends()).map((backend) => ({ backend, settings: config.backends[backend.name] ?? {} }));
  },

  async registeredWorker(home) {
    const { loadIdentity } = await import("./agent/identity.ts");
    const identity = loadIdentity(home);
    return identity === null ? null : { id: identity.workerId, name: identity.name, server: identity.server };
  },

  async checkPolicy(file) {
    return (await policyOf("", file)).described!;
  },

  async cacheCare(home) {
    const { CacheCare } = await import("./agent/cache-care.ts");
    const { agentConfig } = await import("./agent/config.ts");
    return new CacheCare(home, agentConfig(readSettings(join(home, "config.json"))));
  },

  async imageCare(home) {
    const { openImageCare } = await import("./agent/image-care.ts");
    const { agentConfig } = await import("./agent/config.ts");
    const { loadIdentity } = await import("./agent/identity.ts");
    const config = agentConfig(readSettings(join(home, "config.json")));
    return openImageCare(home, loadIdentity(home)!, config, await loadBackends());
  },
};

/** A policy with a mistake is nobody's policy: nothing starts. */
async function policyOf(home: string, named: string | undefined) {
  const { loadPolicy, PolicyError } = await import("./agent/policy/load-policy.ts");
  try {
    return loadPolicy(home, named);
  } catch (error) {
    if (error instanceof PolicyError) throw invalidFile(error.file, error.problems);
    throw error;
  }
}

/** In order of preference for runs that name none. */
async function loadBackends(): Promise<ExecutionBackend[]> {
  const { dockerBackend } = await import("./backends/docker/docker-backend.ts");
  const { processBackend } = await import("./backends/process/process-backend.ts");
  return [dockerBackend, processBackend()];
}

/** An agent's own settings, which it checks by itself; a worker without the file has the defaults. */
function readSettings(file: string): unknown {
  const text = readIfPresent(file);
  if (text === null) return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new CliError(`${file} is not valid JSON: ${(error as Error).message}`, { cause: error });
  }
}

/** JSON lines on standard error, like the server's. */
async function createLog(env: NodeJS.ProcessEnv): Promise<Logger> {
  const { pino } = await import("pino");
  return pino({ level: env.BERTH_LOG_LEVEL || "info", base: null }, pino.destination({ fd: 2, sync: true }));
}

// The launcher has acted on its own switch by now; what is left of it is a promise to install nothing else either.
const argv = process.argv.slice(2);
const switchAt = argv.indexOf("--no-install");
const endOfOptions = argv.indexOf("--");
const mayInstall = switchAt < 0 || (endOfOptions >= 0 && switchAt > endOfOptions);
if (!mayInstall) argv.splice(switchAt, 1);

// A reader that went away (`berth logs … | head`) is no error, and nobody is left to tell.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});

const context: CliContext = {
  env: process.env,
  console: createConsole(process.stdout, process.stderr, process.env),
  version,
  root,
  mayInstall,
  programs,
};
process.exitCode = await runCli(argv, context);
