import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { BenchServer } from "../../bench/bench-server.ts";
import { pythons } from "../../sdk/python/tests/pythons.ts";
import { venvWith } from "../../sdk/python/tests/venv.ts";

/** Makes requests out of an OpenAPI document, valid ones and such as are nearly. */
const PACKAGE = "schemathesis==4.32.5";
/** A long poll is answered after 25 s; nothing else may take nearly as long. */
const ANSWER_TIMEOUT_S = 40;

export interface FuzzOptions {
  /** `coverage`: a request for each limit of each schema; `fuzzing`: random ones. */
  readonly phases: readonly ("coverage" | "fuzzing")[];
  /** Random ones for each route. */
  readonly examples: number;
  readonly maxSeconds: number;
}

export interface FuzzResult {
  readonly passed: boolean;
  /** What the tool says of it, for people. */
  readonly report: string;
}

/**
 * Asks a server of its own everything that its OpenAPI document offers, as an administrator: no answer may be of 5xx, and
 * none may fail to come. Null where the tool cannot be installed.
 */
export async function fuzzApi({ phases, examples, maxSeconds }: FuzzOptions): Promise<FuzzResult | null> {
  const venv = venvWith(pythons().at(-1)!, [PACKAGE]);
  if (venv === null) return null;
  await using server = await BenchServer.start();
  const child = spawn(
    join(venv, "bin/python"),
    [
      ...["-m", "schemathesis.cli", "run", `${server.url}/api/openapi.json`, "--url", server.url],
      ...["--header", `Authorization: Bearer ${server.token}`, "--checks", "not_a_server_error"],
      ...["--phases", phases.join(","), "--max-examples", String(examples), "--max-time", String(maxSeconds)],
      ...["--continue-on-failure", "--workers", "2", "--request-timeout", String(ANSWER_TIMEOUT_S), "--no-color"],
      // They wait by design: for something to happen.
      ...["--exclude-path-regex", "/poll$", "--warnings", "off"],
    ],
    { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, NO_PROXY: "127.0.0.1", no_proxy: "127.0.0.1" } },
  );
  const [report, errors] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  // Its exit code also tells of routes for which it could make no request.
  const passed = /\d+ generated, \d+ passed/.test(report) && !/\d+ found \d+ unique failures|FAILURES/.test(report);
  return { passed, report: `${report}${errors}` };
}
