import { type Command, InvalidArgumentError } from "commander";
import type { Secret } from "../../protocol/secrets.ts";
import { isMaskable, MASKED_MIN_BYTES } from "../../std/secret-forms.ts";
import { rotateSecret, setSecret } from "../api/secrets.ts";
import type { CliContext } from "../context.ts";
import { connect } from "../platform/connection.ts";
import { checkSecretName, readSecretValue } from "../platform/secret-input.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";

type SetOptions = WithServer<{ file?: string; pipeline?: string[]; json?: boolean }>;
type RotateOptions = WithServer<{ file?: string; keepPrevious?: boolean; json?: boolean }>;

const INPUT_HELP =
  "\nThe value is asked for without being shown, or piped in, or the bytes of a file: never an argument.";

/** `berth secret set NAME` and `berth secret rotate NAME` */
export function defineSecretSet(parent: Command, context: CliContext): void {
  const input = { stdin: process.stdin, stderr: process.stderr };
  withServerOptions(parent.command("set <name>"))
    .description("make a secret, or replace its value (operators)")
    .option("--file <file>", "the value is what this file holds, byte for byte")
    .option("--pipeline <name>", "only runs of this pipeline may have it; may be repeated", collect)
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      `${INPUT_HELP}\n\nExamples:\n  berth secret set REPORT_TOKEN\n  berth secret set DEPLOY_KEY --file id_ed25519 --pipeline deploy\n  pass show db | berth secret set DB_PASSWORD`,
    )
    .action(async (name: string, { file, pipeline, ...options }: SetOptions) => {
      const value = await readSecretValue(input, checkSecretName(name), file);
      warnOfShort(context, value);
      const { api } = await connect(context, options);
      print(context, await setSecret(api, name, value, pipeline), options.json);
    });
  withServerOptions(parent.command("rotate <name>"))
    .description("give a secret that is there a new value; the old one is removed (operators)")
    .option("--file <file>", "the value is what this file holds, byte for byte")
    .option(
      "--keep-previous",
      "keep the old value as the previous version: no step gets it, but it stays masked in what runs report",
    )
    .option("--json", "print JSON")
    .addHelpText("after", `${INPUT_HELP}\n\nExample:\n  berth secret rotate REPORT_TOKEN`)
    .action(async (name: string, { file, keepPrevious, ...options }: RotateOptions) => {
      const value = await readSecretValue(input, checkSecretName(name), file);
      warnOfShort(context, value);
      const { api } = await connect(context, options);
      print(context, await rotateSecret(api, name, value, keepPrevious === true), options.json);
    });
}

function collect(name: string, before: string[] = []): string[] {
  if (name === "") throw new InvalidArgumentError("A pipeline has a name.");
  return [...before, name];
}

function warnOfShort({ console }: CliContext, value: Buffer): void {
  if (isMaskable(value)) return;
  console.note(
    `${console.noteStyle.yellow("warning:")} a value of fewer than ${MASKED_MIN_BYTES} bytes is not masked in logs.`,
  );
}

function print({ console }: CliContext, secret: Secret, json: boolean | undefined): void {
  const { version } = secret.versions.find(({ current }) => current)!;
  if (json) console.out(JSON.stringify(secret, null, 2));
  else
    console.out(`${secret.name} is set: version ${version}, for ${secret.pipelines?.join(", ") ?? "all pipelines"}.`);
}
