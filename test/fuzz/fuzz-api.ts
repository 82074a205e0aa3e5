import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempDisposable } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { BenchServer } from "../../bench/bench-server.ts";
import { pythons } from "../../sdk/python/tests/pythons.ts";
import { venvWith } from "../../sdk/python/tests/venv.ts";

/** Makes requests out of an OpenAPI document, valid ones and such as are nearly. */
const PACKAGE = "schemathesis==4.32.5";
/** Also that every answer is one that the document tells of. */
const CHECKS = [
  "not_a_server_error",
  "status_code_conformance",
  "content_type_conformance",
  "response_schema_conformance",
];
/** What waits by design, for something to happen; and what gives up the token of the one who asks. */
const LEFT_OUT = "/poll$|/login$";
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
 * Asks a server of its own everything that its OpenAPI document offers, as an administrator: no answer may be of 5xx, or
 * another than the document tells of, and none may fail to come. Null where the tool cannot be installed.
 */
export async function fuzzApi({ phases, examples, maxSeconds }: FuzzOptions): Promise<FuzzResult | null> {
  const venv = venvWith(pythons().at(-1)!, [PACKAGE]);
  if (venv === null) return null;
  await using server = await BenchServer.start();
  // It keeps notes where it runs.
  await using folder = await mkdtempDisposable(join(tmpdir(), "berth-fuzz-"));
  const child = spawn(
    join(venv, "bin/python"),
    [
      ...["-m", "schemathesis.cli", "run", `${server.url}/api/openapi.json`, "--url", server.url],
      ...["--header", `Authorization: Bearer ${server.token}`, "--checks", CHECKS.join(",")],
      ...["--phases", phases.join(","), "--max-examples", String(examples), "--max-time", String(maxSeconds)],
      ...["--continue-on-failure", "--workers", "2", "--request-timeout", String(ANSWER_TIMEOUT_S), "--no-color"],
      ...["--exclude-path-regex", LEFT_OUT, "--warnings", "off"],
    ],
    {
      cwd: folder.path,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, NO_PROXY: "127.0.0.1", no_proxy: "127.0.0.1" },
    },
  );
  const [report, errors] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  // Its exit code also tells of routes for which it could make no request.
  const passed = /\d+ generated, \d+ passed/.test(report) && !/\d+ found \d+ unique failures|FAILURES/.test(report);
  return { passed, report: `${report}${errors}` };
}
