import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Problem } from "../../protocol/errors.ts";
import { errnoOf } from "../../std/errno.ts";
import { OPEN_POLICY, readPolicy, type WorkerPolicy } from "./worker-policy.ts";

/** Where an agent looks that is told of no other file. */
const POLICY_FILE = "policy.yaml";

/** A policy that cannot be followed. The agent does not start then: it would run what its owner forbids. */
export class PolicyError extends Error {
  override readonly name = "PolicyError";
  readonly file: string;
  readonly problems: readonly Problem[];

  constructor(file: string, problems: readonly Problem[]) {
    super(`the worker's policy ${file} is not valid`);
    this.file = file;
    this.problems = problems;
  }
}

/** The policy of the worker in `home`. A file that was named has to be there; that in the home need not. */
export function loadPolicy(home: string, named?: string): WorkerPolicy {
  const file = named ?? join(home, POLICY_FILE);
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if (named === undefined && errnoOf(error) === "ENOENT") return OPEN_POLICY;
    throw new PolicyError(file, [{ path: "", message: `cannot be read: ${(error as Error).message}` }]);
  }
  const read = readPolicy(text, file);
  if (!read.ok) throw new PolicyError(file, read.problems);
  return read.policy;
}
