import { type Command, InvalidArgumentError } from "commander";
import { NAME_PATTERN } from "../../protocol/names.ts";
import type { PutTriggerInput, TriggerWithSecret } from "../../protocol/triggers.ts";
import type { ApiClient } from "../api/client.ts";
import { createTrigger, updateTrigger } from "../api/triggers.ts";
import { usageError } from "../cli-error.ts";
import type { CliContext } from "../context.ts";
import { type Connection, connect } from "../platform/connection.ts";
import { readPipeline } from "../read-pipeline.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";
import { plainText } from "../terminal/plain-text.ts";
import { uploadSource } from "../upload-source.ts";

type Options = WithServer<{ map?: Record<string, string>; when?: string; json?: boolean }>;

/** `berth triggers create NAME FILE`, and `update`, which changes what a trigger runs. */
export function defineTriggersCreate(parent: Command, context: CliContext): void {
  withMapping(withServerOptions(parent.command("create <name> <file>")))
    .description("make an address at which a signed webhook starts a run of a pipeline file, as it is now")
    .addHelpText("after", CREATE_HELP)
    .action((name: string, file: string, options: Options) => create(context, name, file, options));
  withMapping(withServerOptions(parent.command("update <name> <file>")))
    .description("change what a trigger runs; its address and secret stay")
    .addHelpText(
      "after",
      "\nWhat is not given again is not kept.\n\nExample:\n  berth triggers update push pipeline.yaml --map ref=body.ref",
    )
    .action((name: string, file: string, options: Options) => update(context, name, file, options));
}

const CREATE_HELP = `
The secret is on stdout, and shown this once. How to sign with it: docs/schedules-and-triggers.md

Examples:
  berth triggers create push pipeline.yaml --map ref=body.ref
  berth triggers create push pipeline.yaml --map ref=body.ref --when 'body.ref == "refs/heads/main"'`;

function withMapping(command: Command): Command {
  return command
    .option(
      "--map <param=expression>",
      "parameter, and the CEL expression over body that it is; may be repeated",
      collect,
    )
    .option("--when <expression>", "CEL expression over body: without it being true there is no run")
    .option("--json", "print JSON");
}

function collect(text: string, all: Record<string, string> = {}): Record<string, string> {
  const [name, expression] = [text.split("=", 1)[0]!, text.slice(text.indexOf("=") + 1)];
  if (!text.includes("=") || !NAME_PATTERN.test(name) || expression === "") {
    throw new InvalidArgumentError("It is to be like ref=body.ref.");
  }
  if (Object.hasOwn(all, name)) throw new InvalidArgumentError(`${name} is given more than once.`);
  return { ...all, [name]: expression };
}

async function create(context: CliContext, name: string, file: string, options: Options): Promise<void> {
  if (!NAME_PATTERN.test(name))
    throw usageError(`"${name}" is no name.`, "It is to be like push: letters, digits, - and _.");
  const { connection, request } = await prepare(context, file, options);
  const trigger = await createTrigger(connection.api, { name, ...request });
  if (options.json) return context.console.out(JSON.stringify(trigger, null, 2));
  context.console.note(`Trigger ${name} runs ${trigger.pipeline} version ${trigger.pipelineVersion}. Its address:`);
  printSecret(context, connection.api, trigger);
}

async function update(context: CliContext, name: string, file: string, options: Options): Promise<void> {
  const { connection, request } = await prepare(context, file, options);
  const trigger = await updateTrigger(connection.api, name, request);
  if (options.json) return context.console.out(JSON.stringify(trigger, null, 2));
  context.console.out(`${plainText(trigger.name)} runs ${trigger.pipeline} version ${trigger.pipelineVersion}.`);
}

async function prepare(
  context: CliContext,
  file: string,
  { map = {}, when, ...choice }: Options,
): Promise<{ connection: Connection; request: PutTriggerInput }> {
  const pipeline = readPipeline(file);
  const connection = await connect(context, choice);
  const source = await uploadSource(context, connection, pipeline);
  return {
    connection,
    request: { pipeline: pipeline.text, fileName: file, source, params: map, when: when ?? null },
  };
}

/** The address is for people; the secret alone is data. */
export function printSecret({ console }: CliContext, api: ApiClient, { path, secret }: TriggerWithSecret): void {
  console.note(`  ${new URL(path, api.server).href}`);
  console.note("Its secret, shown this once:");
  console.out(secret);
}
