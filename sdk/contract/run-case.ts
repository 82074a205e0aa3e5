import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type Content, ContractCase } from "./contract-case.ts";

/** The SDK of one language: how its runner is started, and where the module with the behaviours is. */
export interface ContractSdk {
  readonly language: "python" | "typescript";
  /** The program of a step, with its arguments. */
  readonly argv: readonly [string, ...string[]];
  /** Where it starts, which is where it finds the module. */
  readonly cwd: string;
  /** The module with the behaviours, as an invocation names it. */
  readonly module: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** A step takes moments; on a busy machine some more. */
const DEADLINE_MS = 60_000;
/** Before the JSON of a structured line. */
const LOG_MARK = "\u001e";

/** All cases, in the order of their files, with the name of the file. */
export function contractCases(): { readonly file: string; readonly case: ContractCase }[] {
  const folder = join(import.meta.dirname, "cases");
  return readdirSync(folder)
    .filter((file) => file.endsWith(".json"))
    .sort()
    .flatMap((file) =>
      ContractCase.array()
        .parse(JSON.parse(readFileSync(join(folder, file), "utf8")))
        .map((each) => ({ file, case: each })),
    );
}

/** Runs the step of a case in a folder of its own, and compares all that is left with what the case expects. */
export async function runCase(sdk: ContractSdk, each: ContractCase): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "berth-contract-"));
  try {
    for (const name of ["in", "out", "tmp"]) mkdirSync(join(folder, name));
    for (const { name, content } of each.inputs) {
      if (content !== undefined) writeContent(join(folder, "in", name), content);
    }
    for (const [name, content] of Object.entries(each.secrets)) writeContent(join(folder, "secrets", name), content);
    const ended = await start(sdk, each, folder);
    compare(each, folder, ended);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function start(sdk: ContractSdk, each: ContractCase, folder: string): Promise<Ended> {
  const inputs = each.inputs.map(({ name, type }) => ({ name, type, path: join(folder, "in", name) }));
  const outputs = each.outputs.map((output) => ({ ...output, path: outputPath(folder, output) }));
  const paths = (kind: string, artifacts: readonly { readonly name: string; readonly path: string }[]) =>
    artifacts.map(({ name, path }) => [`BERTH_${kind}_${name.toUpperCase().replaceAll("-", "_")}`, path]);
  const [program, ...args] = sdk.argv;
  const child = spawn(program, args, {
    cwd: sdk.cwd,
    stdio: ["ignore", "pipe", "pipe"],
    timeout: DEADLINE_MS,
    env: {
      PATH: process.env.PATH,
      HOME: join(folder, "tmp"),
      TMPDIR: join(folder, "tmp"),
      BERTH_DIR: folder,
      BERTH_IN: join(folder, "in"),
      BERTH_OUT: join(folder, "out"),
      BERTH_MESSAGES: join(folder, "messages.jsonl"),
      ...(Object.keys(each.secrets).length === 0 ? {} : { BERTH_SECRETS: join(folder, "secrets") }),
      BERTH_PIPELINE: "contract",
      BERTH_STEP_RUN: "step",
      ...Object.fromEntries([...paths("INPUT", inputs), ...paths("OUTPUT", outputs)]),
      BERTH_INVOCATION: JSON.stringify({
        module: each.module ?? sdk.module,
        function: each.behaviour,
        inputs,
        outputs: outputs.map(({ name, type, path, optional }) => ({ name, type, path, optional })),
        values: each.values,
      }),
      ...sdk.env,
      ...each.env,
    },
  });
  const output = { stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"] as const) {
    child[stream].setEncoding("utf8").on("data", (text: string) => {
      output[stream] += text;
    });
  }
  const [code] = (await once(child, "close")) as [number | null];
  return { code, ...output };
}

function outputPath(folder: string, { name, path }: { readonly name: string; readonly path?: string | undefined }) {
  return join(folder, "out", path ?? name);
}

function writeContent(path: string, content: Content): void {
  mkdirSync(dirname(path), { recursive: true });
  if (content.files !== undefined) {
    mkdirSync(path, { recursive: true });
    for (const [name, inner] of Object.entries(content.files)) writeContent(join(path, name), inner);
  } else writeFileSync(path, bytesOf(content));
}

function bytesOf({ text, base64, json }: Content): Buffer {
  if (text !== undefined) return Buffer.from(text);
  return base64 === undefined ? Buffer.from(JSON.stringify(json)) : Buffer.from(base64, "base64");
}

function compare({ outputs, expect }: ContractCase, folder: string, ended: Ended): void {
  const { code, stdout, stderr } = ended;
  assert.equal(code, expect.exit, `exit code; stderr:\n${stderr}`);
  compareError(expect.error, folder, stderr);
  const declared = new Map(outputs.map((output) => [output.name, outputPath(folder, output)]));
  for (const [name, content] of Object.entries(expect.outputs)) compareContent(name, declared.get(name)!, content);
  const messages = readMessages(folder);
  const told = messages.filter(({ type }) => type !== "output");
  if (expect.messagesUpTo === undefined) assert.deepEqual(told, expect.messages, "messages");
  else {
    assert.ok(told.length <= expect.messagesUpTo.count, `${told.length} messages`);
    assert.deepEqual(told.at(-1), expect.messagesUpTo.last);
  }
  for (const [name, keys] of Object.entries(expect.described)) {
    const last = messages.findLast((message) => message.type === "output" && message.name === name);
    assert.ok(last !== undefined, `nothing was said of the output ${name}`);
    for (const [key, value] of Object.entries(keys)) assert.deepEqual(last[key], value, `${key} of ${name}`);
  }
  compareLogs(expect.logs, stderr);
  if (expect.stdout !== undefined) assert.equal(stdout, expect.stdout, "stdout");
  for (const part of expect.stderrHas) assert.ok(stderr.includes(part), `${part} is missing in:\n${stderr}`);
  for (const part of expect.stderrLacks) assert.ok(!stderr.includes(part), `${part} is in:\n${stderr}`);
}

function compareError(expected: ContractCase["expect"]["error"], folder: string, stderr: string): void {
  const path = join(folder, "error.json");
  if (expected === undefined) {
    assert.ok(!existsSync(path), "there is an error.json");
    return;
  }
  const { type, message } = JSON.parse(readFileSync(path, "utf8")) as { type: string; message: string };
  assert.equal(type, expected.type, `type of error.json: ${message}; stderr:\n${stderr}`);
  if (expected.message !== undefined) assert.equal(message, expected.message);
  for (const part of expected.messageHas ?? []) assert.ok(message.includes(part), `${part} is missing in: ${message}`);
}

function compareContent(name: string, path: string, expected: Content | null): void {
  if (expected === null) {
    assert.ok(!existsSync(path), `${name} is there`);
    return;
  }
  assert.ok(existsSync(path), `${name} is missing`);
  if (expected.files !== undefined) {
    const found = readdirSync(path, { recursive: true, encoding: "utf8" }).filter((entry) =>
      statSync(join(path, entry)).isFile(),
    );
    assert.deepEqual(found.sort(), Object.keys(expected.files).sort(), `files of ${name}`);
    for (const [entry, content] of Object.entries(expected.files)) compareContent(entry, join(path, entry), content);
    return;
  }
  const bytes = readFileSync(path);
  if (expected.textHas !== undefined) {
    for (const part of expected.textHas)
      assert.ok(bytes.includes(part), `${part} is missing in ${name}: ${bytes.toString()}`);
  } else if (expected.json !== undefined) assert.deepEqual(JSON.parse(bytes.toString("utf8")), expected.json, name);
  else if (expected.text !== undefined) assert.equal(bytes.toString("utf8"), expected.text, name);
  else assert.equal(bytes.toString("base64"), expected.base64, name);
}

function readMessages(folder: string): Record<string, unknown>[] {
  const path = join(folder, "messages.jsonl");
  if (!existsSync(path)) return [];
  const text = readFileSync(path, "utf8");
  assert.ok(text.endsWith("\n"), "the last message is no whole line");
  return text
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

function compareLogs(expected: ContractCase["expect"]["logs"], stderr: string): void {
  const lines = stderr.split("\n").filter((line) => line.startsWith(LOG_MARK));
  const logs = lines.map((line) => JSON.parse(line.slice(1)) as Record<string, unknown>);
  assert.deepEqual(
    logs.map(({ level }) => level),
    expected.map(({ level }) => level),
    `levels of the log:\n${stderr}`,
  );
  for (const [index, { message, messageHas, fields }] of expected.entries()) {
    const found = logs[index]!;
    assert.ok(Buffer.byteLength(lines[index]!) < 64 * 1024, "a line is too long");
    assert.match(String(found.at), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/);
    if (message !== undefined) assert.equal(found.message, message);
    for (const part of messageHas ?? [])
      assert.ok(String(found.message).includes(part), `${part}: ${String(found.message)}`);
    if (fields !== undefined) assert.deepEqual(found.fields, fields);
  }
}
