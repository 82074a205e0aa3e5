import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { AttemptRef, AttemptSpec, BackendSession, Handle } from "../execution-backend.ts";
import type { SessionSource } from "./harness.ts";

/*
 * A second process that drives an attempt until a certain point and is killed there, as an agent would be. The suite
 * starts this file as a program; what it says on its standard output tells where it is.
 */

/** The points in an agent's life where it is killed, with how they are called in titles. */
export const KILL_POINTS = [
  { name: "opened", said: "opened its session" },
  { name: "prepared", said: "prepared the attempt" },
  { name: "submitting", said: "just called submit" },
  { name: "submitted", said: "submitted" },
  { name: "running", said: "seen it run" },
  { name: "following", said: "begun to follow its log" },
  { name: "ended", said: "seen its end" },
] as const;

export type KillPoint = (typeof KILL_POINTS)[number]["name"];

export interface Assignment {
  readonly ref: AttemptRef;
  readonly spec: AttemptSpec;
  readonly point: KillPoint;
}

/** Runs the second process, and kills it with -9 when it has come to the point. */
export async function runUntilKilled(source: SessionSource, assignment: Assignment): Promise<void> {
  const program = fileURLToPath(import.meta.url);
  const child = spawn(process.execPath, [program, JSON.stringify({ source, assignment })], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "exit") as Promise<[code: number | null, signal: string | null]>;
  await untilSaid(child, assignment.point);
  child.kill("SIGKILL");
  const [code, signal] = await ended;
  if (signal !== "SIGKILL") throw new Error(`the second process ended by itself, with code ${code}`);
}

async function untilSaid(child: ChildProcess, word: string): Promise<void> {
  for await (const line of createInterface({ input: child.stdout! })) if (line === word) return;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { source, assignment } = JSON.parse(process.argv[2]!) as { source: SessionSource; assignment: Assignment };
  const module = (await import(source.module)) as Record<string, (argument: unknown) => Promise<BackendSession>>;
  await drive(await module[source.export]!(source.argument), assignment);
}

async function drive(session: BackendSession, { ref, spec, point }: Assignment): Promise<void> {
  arrive("opened", point);
  await session.prepare(ref, spec);
  arrive("prepared", point);
  const submitted = session.submit(ref, spec);
  // Killed by its own hand, with nothing in between: whatever the call did without waiting is done.
  arrive("submitting", point);
  const handle = await submitted;
  arrive("submitted", point);
  if (point === "ended") await untilState(session, handle, "terminal");
  arrive("ended", point);
  await untilState(session, handle, "running");
  arrive("running", point);
  for await (const _ of session.logs(handle, "stdout", { offset: 0, follow: true })) arrive("following", point);
}

/** At its point the process says so and stands still, until it is killed; "submitting" does not wait for that. */
function arrive(here: KillPoint, point: KillPoint): void {
  if (here !== point) return;
  process.stdout.write(`${here}\n`);
  if (here === "submitting") process.kill(process.pid, "SIGKILL");
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}

async function untilState(session: BackendSession, handle: Handle, state: string): Promise<void> {
  for (;;) {
    const seen = (await session.observe([handle])).get(handle.name);
    if (seen !== undefined && "state" in seen && seen.state === state) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
