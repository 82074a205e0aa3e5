import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

const RUNNER = join(import.meta.dirname, "../run-step.js");

interface Declared {
  readonly type: string;
  readonly optional?: boolean;
  /** What an input holds; without it, it is not there. */
  readonly content?: string | Buffer;
}

export interface FunctionCall {
  /** `steps.ts:total` */
  readonly target: string;
  /** Files of the working folder. */
  readonly files: Readonly<Record<string, string>>;
  readonly inputs?: Readonly<Record<string, Declared>>;
  readonly outputs?: Readonly<Record<string, Declared>>;
  readonly values?: Readonly<Record<string, unknown>>;
  readonly env?: Readonly<Record<string, string>>;
  readonly node?: string;
}

export interface FunctionResult {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** What the step left for Berth, parsed. */
  readonly error: { readonly type: string; readonly message: string } | null;
  readonly messages: readonly Record<string, unknown>[];
  output(name: string): Buffer | null;
}

/** Runs the runner as Berth does, in a folder of its own. */
export function runFunction(call: FunctionCall): FunctionResult {
  const { target, files, inputs = {}, outputs = {}, values = {}, env = {}, node = process.execPath } = call;
  const folder = mkdtempSync(join(tmpdir(), "berth-sdk-test-"));
  try {
    const app = join(folder, "app");
    const berth = join(folder, "berth");
    for (const made of [app, join(berth, "in"), join(berth, "out")]) mkdirSync(made, { recursive: true });
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(app, name)), { recursive: true });
      writeFileSync(join(app, name), text);
    }
    for (const [name, { content }] of Object.entries(inputs)) {
      if (content !== undefined) writeFileSync(join(berth, "in", name), content);
    }
    const artifacts = (all: Readonly<Record<string, Declared>>, where: string) =>
      Object.entries(all).map(([name, { type, optional = false }]) => ({
        ...{ name, type, optional },
        path: join(berth, where, name),
      }));
    const [module, name] = target.split(":");
    const invocation = {
      ...{ module, function: name, values },
      inputs: artifacts(inputs, "in"),
      outputs: artifacts(outputs, "out"),
    };
    const variables = Object.fromEntries([
      ...invocation.inputs.map(({ name, path }) => [`BERTH_INPUT_${name.toUpperCase().replaceAll("-", "_")}`, path]),
      ...invocation.outputs.map(({ name, path }) => [`BERTH_OUTPUT_${name.toUpperCase().replaceAll("-", "_")}`, path]),
    ]);
    const messages = join(berth, "messages.jsonl");
    const result = spawnSync(node, [RUNNER], {
      cwd: app,
      encoding: "utf8",
      env: {
        PATH: process.env.PATH,
        BERTH_INVOCATION: JSON.stringify(invocation),
        BERTH_DIR: berth,
        BERTH_MESSAGES: messages,
        ...variables,
        ...env,
      },
    });
    const written = Object.keys(outputs).flatMap((name) => {
      const path = join(berth, "out", name);
      return existsSync(path) ? [[name, readFileSync(path)] as const] : [];
    });
    const made = new Map(written);
    const lines = existsSync(messages) ? readFileSync(messages, "utf8").split("\n").slice(0, -1) : [];
    const error = join(berth, "error.json");
    return {
      exitCode: result.status,
      stdout: result.stdout,
      stderr: result.stderr,
      error: existsSync(error) ? JSON.parse(readFileSync(error, "utf8")) : null,
      messages: lines.map((line) => JSON.parse(line)),
      output: (name) => made.get(name) ?? null,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
