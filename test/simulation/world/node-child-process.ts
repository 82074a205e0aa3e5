import { rmSync } from "node:fs";
import { later } from "./virtual-time.ts";

type Done = (error: Error | null, stdout: string, stderr: string) => void;

/** The few programs that the agent starts; no other is installed. */
export function execFile(program: string, args: readonly string[], ...rest: readonly unknown[]): object {
  const done = rest.at(-1) as Done;
  if (program === "rm") for (const path of args.filter((arg) => !arg.startsWith("-"))) rmSync(path, FORCE);
  const isThere = program === "rm" || program === "chattr";
  later(() => done(isThere ? null : Object.assign(new Error(`spawn ${program} ENOENT`), { code: "ENOENT" }), "", ""));
  return {};
}

const FORCE = { recursive: true, force: true } as const;

export function spawn(program: string): never {
  throw new Error(`the simulation starts no processes: ${program}`);
}
