import type { Command } from "commander";
import type { CliContext } from "./context.ts";
import type { CommandResult } from "./program.ts";

/** What each file in commands/ exports: fills in arguments, options, examples and the action. */
export interface CommandModule {
  define(command: Command, context: CliContext, result: CommandResult): void;
}

export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  load(): Promise<CommandModule>;
}

/** Every command, in the order of `berth help`. */
export const COMMANDS: readonly CommandEntry[] = [
  {
    name: "demo",
    summary: "see a real pipeline run, on a machine that has nothing yet",
    load: () => import("./commands/demo.ts"),
  },
  { name: "run", summary: "run a pipeline file and follow it to its end", load: () => import("./commands/run.ts") },
  {
    name: "validate",
    summary: "check a pipeline file and print every problem",
    load: () => import("./commands/validate.ts"),
  },
  {
    name: "compile",
    summary: "make the pipeline file of a pipeline that is written as a program",
    load: () => import("./commands/compile.ts"),
  },
  {
    name: "env",
    summary: "set environment variables; say what a step is given, and what its environment becomes",
    load: () => import("./commands/env.ts"),
  },
  { name: "ui", summary: "open the web UI", load: () => import("./commands/ui.ts") },
  { name: "runs", summary: "list runs, or show one", load: () => import("./commands/runs.ts") },
  { name: "logs", summary: "print the logs of a run", load: () => import("./commands/logs.ts") },
  { name: "usage", summary: "say what the steps of a run used", load: () => import("./commands/usage.ts") },
  { name: "restart", summary: "run again what did not succeed", load: () => import("./commands/restart.ts") },
  {
    name: "replay",
    summary: "run one attempt of the past again, on this machine",
    load: () => import("./commands/replay.ts"),
  },
  { name: "cancel", summary: "cancel a run", load: () => import("./commands/cancel.ts") },
  {
    name: "artifacts",
    summary: "list and download artifacts; say where they come from",
    load: () => import("./commands/artifacts.ts"),
  },
  {
    name: "store",
    summary: "say how long artifacts are kept, and what the store holds",
    load: () => import("./commands/store.ts"),
  },
  {
    name: "cache",
    summary: "say what is taken from the cache, and why; or give it up",
    load: () => import("./commands/cache.ts"),
  },
  {
    name: "schedules",
    summary: "run a pipeline at set times",
    load: () => import("./commands/schedules.ts"),
  },
  {
    name: "triggers",
    summary: "run a pipeline by a signed webhook",
    load: () => import("./commands/triggers.ts"),
  },
  {
    name: "secret",
    summary: "keep secrets that steps may use",
    load: () => import("./commands/secret.ts"),
  },
  {
    name: "registry",
    summary: "keep logins for image registries, which workers pull with",
    load: () => import("./commands/registry.ts"),
  },
  {
    name: "workers",
    summary: "list workers; drain, undrain or remove one",
    load: () => import("./commands/workers.ts"),
  },
  {
    name: "up",
    summary: "start server, database and one worker on this machine",
    load: () => import("./commands/up.ts"),
  },
  { name: "down", summary: "stop what was started in the background", load: () => import("./commands/down.ts") },
  { name: "server", summary: "start a server alone", load: () => import("./commands/server.ts") },
  {
    name: "agent",
    summary: "register this machine as a worker, and start it",
    load: () => import("./commands/agent.ts"),
  },
  {
    name: "audit",
    summary: "list who changed what, and check that nobody changed that",
    load: () => import("./commands/audit.ts"),
  },
  { name: "login", summary: "get a token for yourself, with a browser", load: () => import("./commands/login.ts") },
  { name: "logout", summary: "revoke the token of a login", load: () => import("./commands/logout.ts") },
  { name: "token", summary: "create, list and revoke tokens", load: () => import("./commands/token.ts") },
];
