import { readFileSync } from "node:fs";
import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { SECRET_NAME_PATTERN, SECRET_NAME_RULE, SECRET_VALUE_MAX_BYTES } from "../../protocol/secrets.ts";
import { CliError, usageError } from "../cli-error.ts";

/** Where a value may come from: never from the arguments, which every user of the machine can list. */
export interface SecretInput {
  readonly stdin: NodeJS.ReadStream;
  readonly stderr: NodeJS.WritableStream;
}

/**
 * The value of a secret: the bytes of `file`, or what is piped in, or what is typed at a prompt without being shown. Of
 * what is piped the last line break is left off, which `echo` and most programs add; a file is taken as it is.
 */
export async function readSecretValue(
  { stdin, stderr }: SecretInput,
  name: string,
  file: string | undefined,
): Promise<Buffer> {
  const value =
    file !== undefined ? readFile(file) : stdin.isTTY ? await prompt(stdin, stderr, name) : await piped(stdin);
  if (value.length === 0) {
    throw usageError("The value is empty.", "Type it, pipe it in, or name a file: --file FILE");
  }
  if (value.length > SECRET_VALUE_MAX_BYTES) {
    throw usageError(`The value has ${value.length} bytes: a secret has at most ${SECRET_VALUE_MAX_BYTES}.`);
  }
  return value;
}

export function checkSecretName(name: string): string {
  if (SECRET_NAME_PATTERN.test(name)) return name;
  // What is wrong with it is not repeated: it may be the value.
  throw usageError(SECRET_NAME_RULE, "The value is no argument: it is asked for, read from --file, or piped in.");
}

function readFile(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new CliError(`${file} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

async function piped(stdin: NodeJS.ReadStream): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stdin) {
    chunks.push(Buffer.from(chunk as Buffer));
    size += (chunk as Buffer).length;
    // What is longer is refused anyway; it may be endless.
    if (size > SECRET_VALUE_MAX_BYTES + 2) break;
  }
  return withoutLastBreak(Buffer.concat(chunks));
}

function withoutLastBreak(bytes: Buffer): Buffer {
  if (bytes.at(-1) !== 0x0a) return bytes;
  return bytes.subarray(0, bytes.at(-2) === 0x0d ? -2 : -1);
}

async function prompt(stdin: NodeJS.ReadStream, stderr: NodeJS.WritableStream, name: string): Promise<Buffer> {
  stderr.write(`Value of ${name} (not shown): `);
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: stdin, output: nowhere, terminal: true, historySize: 0 });
  // Ctrl-C and Ctrl-D give nothing, which is refused.
  const stop = new AbortController();
  lines.once("close", () => stop.abort());
  lines.once("SIGINT", () => lines.close());
  try {
    return Buffer.from(await lines.question("", { signal: stop.signal }));
  } catch (error) {
    if (stop.signal.aborted) throw new CliError("No value was given: nothing was changed.", { cause: error });
    throw error;
  } finally {
    lines.close();
    stderr.write("\n");
  }
}
