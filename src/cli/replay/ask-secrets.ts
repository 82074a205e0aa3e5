import type { StepSecret } from "../../protocol/plan.ts";
import { CliError, usageError } from "../cli-error.ts";
import { checkSecretName, readSecretValue, type SecretInput } from "../platform/secret-input.ts";

/** Files with values, by name of the secret. */
export type SecretFiles = ReadonlyMap<string, string>;

/** Collects the values of `--secret NAME=@FILE`. */
export function secretFile(text: string, before: SecretFiles = new Map()): SecretFiles {
  const [, name, file] = /^([^=]*)=@(.+)$/s.exec(text) ?? [];
  if (name === undefined || file === undefined) {
    // What was given is not repeated: it may be the value.
    throw usageError("--secret takes NAME=@FILE.", "A value is no argument, which every user of a machine can list.");
  }
  return new Map([...before, [checkSecretName(name), file]]);
}

/** The server gives values to its workers alone, so a person has to: in a file, or typed at the terminal. */
export async function askSecrets(
  input: SecretInput,
  secrets: readonly StepSecret[],
  files: SecretFiles,
): Promise<ReadonlyMap<string, Uint8Array>> {
  const unused = [...files.keys()].find((name) => !secrets.some((secret) => secret.name === name));
  if (unused !== undefined) {
    const named = secrets.length === 0 ? "It names none." : `It names ${secrets.map(({ name }) => name).join(", ")}.`;
    throw usageError(`The step names no secret ${unused}.`, named);
  }
  const values = new Map<string, Uint8Array>();
  for (const { name } of secrets) {
    const file = files.get(name);
    if (file === undefined && !input.stdin.isTTY) throw notGiven(name);
    values.set(name, await readSecretValue(input, name, file));
  }
  return values;
}

function notGiven(name: string): CliError {
  return new CliError(`The step needs the secret ${name}, and servers give values to workers alone.`, {
    advice: [`Give it in a file: --secret ${name}=@FILE; at a terminal it is asked for.`],
  });
}
