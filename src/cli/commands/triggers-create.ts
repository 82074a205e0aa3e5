import type { Command } from "commander";
import { NAME_PATTERN } from "../../protocol/names.ts";
import { createTrigger } from "../api/triggers.ts";
import { usageError } from "../cli-error.ts";
import type { CliContext } from "../context.ts";
import { connect } from "../platform/connection.ts";
import { readPipeline } from "../read-pipeline.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";
import { type MappingOptions, withMapping } from "../trigger-mapping.ts";
import { printSecret, printWithAddress, SHOWN_ONCE } from "../trigger-secret.ts";
import { uploadSource } from "../upload-source.ts";

type Options = WithServer<MappingOptions & { json?: boolean }>;

/** `berth triggers create NAME FILE` */
export function defineTriggersCreate(parent: Command, context: CliContext): void {
  withMapping(withServerOptions(parent.command("create <name> <file>")))
    .description("make an address at which a signed webhook starts a run of a pipeline file, as it is now")
    .option("--json", "print JSON")
    .addHelpText("after", HELP)
    .action((name: string, file: string, options: Options) => create(context, name, file, options));
}

const HELP = `
HOOK, the address, and SECRET are on stdout; the secret is shown this once. How to sign with it, and how to give the
address a port that stays: docs/schedules-and-triggers.md

Examples:
  berth triggers create push pipeline.yaml --map ref=body.ref
  berth triggers create push pipeline.yaml --map ref=body.ref --when 'body.ref == "refs/heads/main"'`;

async function create(
  context: CliContext,
  name: string,
  file: string,
  { map = {}, when = null, json, ...choice }: Omit<Options, "when"> & { when?: string | null },
): Promise<void> {
  if (!NAME_PATTERN.test(name))
    throw usageError(`"${name}" is no name.`, "It is to be like push: letters, digits, - and _.");
  const pipeline = readPipeline(file);
  const connection = await connect(context, choice);
  const source = await uploadSource(context, connection, pipeline);
  const request = { name, pipeline: pipeline.text, fileName: file, source, params: map, when };
  const trigger = await createTrigger(connection.api, request);
  if (json) return printWithAddress(context, connection.api, trigger);
  context.console.note(`Trigger ${name} runs ${trigger.pipeline} version ${trigger.pipelineVersion}. ${SHOWN_ONCE}`);
  printSecret(context, connection.api, trigger);
}
