import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { text as textOf } from "node:stream/consumers";
import { setTimeout } from "node:timers/promises";
import type { Run, RunDetail } from "../src/protocol/resources.ts";
import { freePort } from "../test/setup/free-port.ts";
import { cpuMs } from "./cpu-time.ts";

const ROOT = resolve(import.meta.dirname, "..");
const START_TIMEOUT_MS = 60_000;
const RUN_TIMEOUT_MS = 600_000;
const SWEEP_POLL_INTERVAL_MS = 5;

/** A whole platform of its own, in a home of its own: server, PostgreSQL, one agent, as `berth up` starts them. */
export class Platform implements AsyncDisposable {
  readonly home: string;
  readonly #child: ChildProcess;
  readonly #url: string;
  readonly #token: string;
  /** From the start of the command until a worker was ready. */
  readonly readyMs: number;

  private constructor(home: string, child: ChildProcess, url: string, token: string, readyMs: number) {
    this.home = home;
    this.#child = child;
    this.#url = url;
    this.#token = token;
    this.readyMs = readyMs;
  }

  /** Starts one; `home` from an earlier one starts that again. */
  static async start(
    options: {
      readonly home?: string;
      readonly agentSettings?: Record<string, unknown>;
      /** Settings of the server, such as another store. */
      readonly env?: Readonly<Record<string, string>>;
    } = {},
  ): Promise<Platform> {
    const home = options.home ?? mkdtempSync(join(tmpdir(), "berth-bench-"));
    mkdirSync(join(home, "local-agent"), { recursive: true });
    writeFileSync(join(home, "local-agent", "config.json"), JSON.stringify(options.agentSettings ?? {}));
    const startedAt = performance.now();
    const child = spawn(join(ROOT, "berth"), ["up"], {
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, BERTH_HOME: home, BERTH_LISTEN: `127.0.0.1:${await freePort()}`, ...options.env },
    });
    await saysItIsUp(child);
    const readyMs = performance.now() - startedAt;
    const { url } = JSON.parse(readFileSync(join(home, "server.json"), "utf8")) as { url: string };
    const token = readFileSync(join(home, "admin-token"), "utf8").trim();
    return new Platform(home, child, url, token, readyMs);
  }

  submit(pipeline: object, backend: "docker" | "process"): Promise<Run> {
    return this.post("/runs", { pipeline: JSON.stringify(pipeline), backend });
  }

  /** Resolves with a run when it has ended. */
  async ended(run: string): Promise<RunDetail> {
    // The event stream ends with the run: no polling in the figures.
    for await (const _ of await this.#stream(`/runs/${run}/events`, "text/event-stream")) {
      // Only its end matters.
    }
    return await this.get(`/runs/${run}`);
  }

  /** Runs a pipeline to its end and says how long that took, from the request to the end being known. */
  async run(pipeline: object, backend: "docker" | "process"): Promise<{ run: RunDetail; wallMs: number }> {
    const startedAt = performance.now();
    const run = await this.ended((await this.submit(pipeline, backend)).id);
    const wallMs = performance.now() - startedAt;
    if (run.state !== "succeeded") throw new Error(`${run.pipeline}#${run.number} ${run.state}: ${run.fault?.message}`);
    return { run, wallMs };
  }

  /** Resolves when a step of the run has printed this. */
  async said(run: string, words: string): Promise<void> {
    let printed = "";
    for await (const chunk of await this.#stream(`/runs/${run}/logs?follow=true`, "text/plain")) {
      printed += Buffer.from(chunk).toString();
      if (printed.includes(words)) return;
    }
    throw new Error(`${run} ended without a word of ${words}: ${printed}`);
  }

  /** All that a run printed. */
  async logs(run: string): Promise<string> {
    return Buffer.concat(await Array.fromAsync(await this.#stream(`/runs/${run}/logs`, "text/plain"))).toString();
  }

  /** Resolves when nothing of any run is left on the worker: removing it is part of what steps cost. */
  async swept(): Promise<void> {
    const runs = join(this.home, "local-agent", "runs");
    while (readdirSync(runs).length > 0) await setTimeout(SWEEP_POLL_INTERVAL_MS);
  }

  /** Runs a command of the CLI against it, to its end; returns what it printed. */
  async cli(...args: readonly string[]): Promise<string> {
    const child = spawn(join(ROOT, "berth"), args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, BERTH_HOME: this.home },
    });
    const [out, err] = [textOf(child.stdout), textOf(child.stderr)];
    const code = await new Promise<number | null>((done) => child.once("exit", done));
    if (code !== 0) throw new Error(`berth ${args.join(" ")}: exit ${code}\n${await err}`);
    return await out;
  }

  /** Kills the agent, and resolves when the next one is ready. */
  async killAgent(): Promise<void> {
    const log = join(this.home, "logs", "agent.log");
    const starts = () => readFileSync(log, "utf8").split("the agent is ready").length;
    const before = starts();
    process.kill(this.#part("agent")!.pid, "SIGKILL");
    while (starts() === before) await setTimeout(SWEEP_POLL_INTERVAL_MS);
  }

  post<T>(path: string, body: unknown): Promise<T> {
    return request<T>(this.#url, this.#token, "POST", path, body);
  }

  get<T>(path: string): Promise<T> {
    return request<T>(this.#url, this.#token, "GET", path);
  }

  /** Resident memory of server and agent, in bytes. */
  memory(): { server: number; agent: number } {
    return { server: this.#part("server")?.rss ?? 0, agent: this.#part("agent")?.rss ?? 0 };
  }

  /** CPU time that server (with PostgreSQL) and agent used so far, in milliseconds, without what steps used. */
  cpu(): { server: number; agent: number } {
    const { server, agent } = { server: this.#part("server"), agent: this.#part("agent") };
    return { server: cpuMs(server!.pid), agent: cpuMs(agent!.pid) };
  }

  /** The program itself, not what it starts. */
  #part(word: "server" | "agent"): Process | undefined {
    return descendants(this.#child.pid!).find(({ command }) => command.includes(`main.ts ${word}`));
  }

  async #stream(path: string, accept: string): Promise<ReadableStream<Uint8Array>> {
    const answer = await fetch(`${this.#url}/api/v1${path}`, {
      headers: { authorization: `Bearer ${this.#token}`, accept },
      signal: AbortSignal.timeout(RUN_TIMEOUT_MS),
    });
    if (!answer.ok) throw new Error(`GET ${path}: ${answer.status} ${await answer.text()}`);
    return answer.body!;
  }

  async stop(): Promise<void> {
    const ended = new Promise((done) => this.#child.once("exit", done));
    this.#child.kill("SIGTERM");
    await ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    rmSync(this.home, { recursive: true, force: true });
  }
}

/** Milliseconds between the first step's start and the run's end: what the steps took, without submitting. */
export function stepsMs(run: Run): number {
  return Date.parse(run.finishedAt!) - Date.parse(run.startedAt!);
}

async function request<T>(url: string, token: string, method: string, path: string, body?: unknown): Promise<T> {
  const answer = await fetch(`${url}/api/v1${path}`, {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as T;
}

/** Resolves at the line that tells people that server and worker are ready. */
function saysItIsUp(child: ChildProcess): Promise<void> {
  return new Promise((done, fail) => {
    const timer = globalThis.setTimeout(
      () => fail(new Error(`not up within ${START_TIMEOUT_MS} ms`)),
      START_TIMEOUT_MS,
    );
    let said = "";
    child.stdout!.setEncoding("utf8").on("data", (text: string) => {
      said += text;
      if (!said.includes("Berth is up at")) return;
      clearTimeout(timer);
      done();
    });
    child.once("exit", (code) => fail(new Error(`berth up ended with ${code}: ${said}`)));
  });
}

interface Process {
  readonly pid: number;
  readonly command: string;
  readonly rss: number;
}

/** The processes below one, out of /proc. */
function descendants(root: number): Process[] {
  const found: Process[] = [];
  const children = readFileSync(`/proc/${root}/task/${root}/children`, "utf8").split(" ").filter(Boolean).map(Number);
  for (const pid of children) {
    const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
    const rss = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
    found.push({ pid, command, rss: Number(rss?.[1] ?? 0) * 1024 }, ...descendants(pid));
  }
  return found;
}
