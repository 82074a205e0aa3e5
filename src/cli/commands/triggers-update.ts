import type { Command } from "commander";
import { didYouMean } from "../../pipeline/suggest.ts";
import type { PutTriggerRequest } from "../../protocol/triggers.ts";
import type { ApiClient } from "../api/client.ts";
import { getTrigger, updateTrigger } from "../api/triggers.ts";
import { usageError } from "../cli-error.ts";
import type { CliContext } from "../context.ts";
import { connect } from "../platform/connection.ts";
import { readPipeline } from "../read-pipeline.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";
import { plainText } from "../terminal/plain-text.ts";
import { renderTable } from "../terminal/table.ts";
import { type MappingOptions, mappingFacts, withMapping } from "../trigger-mapping.ts";
import { uploadSource } from "../upload-source.ts";

/** `when` is false for `--no-when`. */
interface Changes extends Omit<MappingOptions, "when"> {
  readonly when?: string | false;
  readonly unmap?: readonly string[];
}
type Options = WithServer<Changes & { json?: boolean }>;

/** `berth triggers update NAME FILE` */
export function defineTriggersUpdate(parent: Command, context: CliContext): void {
  withMapping(withServerOptions(parent.command("update <name> <file>")))
    .description("run the file as it is now; address and secret stay, and of the mapping what is not named")
    .option("--unmap <param>", "map this parameter no more; may be repeated", (name, all: string[] | undefined) => [
      ...(all ?? []),
      name,
    ])
    .option("--no-when", "let each message start a run")
    .option("--json", "print JSON")
    .addHelpText("after", HELP)
    .action((name: string, file: string, options: Options) => update(context, name, file, options));
}

const HELP = `
Examples:
  berth triggers update push pipeline.yaml
  berth triggers update push pipeline.yaml --map title=body.title --unmap ref --no-when`;

async function update(context: CliContext, name: string, file: string, options: Options): Promise<void> {
  const { console } = context;
  const pipeline = readPipeline(file);
  const connection = await connect(context, options);
  const mapping = await changedMapping(connection.api, name, options);
  const source = await uploadSource(context, connection, pipeline);
  const request = { pipeline: pipeline.text, fileName: file, source, ...mapping };
  const trigger = await updateTrigger(connection.api, name, request);
  if (options.json) return console.out(JSON.stringify(trigger, null, 2));
  const facts = mappingFacts(trigger);
  const inForce = facts.length === 0 ? "for each message, with no mapping." : "with this mapping:";
  console.out(`${plainText(trigger.name)} runs ${trigger.pipeline} version ${trigger.pipelineVersion}, ${inForce}`);
  for (const line of renderTable([{ title: "" }, { title: "" }], facts)) console.out(`  ${line}`);
}

/** Only what changes; a request's `params` take the place of all that were. */
async function changedMapping(
  api: ApiClient,
  name: string,
  { map = {}, unmap = [], when }: Changes,
): Promise<Pick<PutTriggerRequest, "params" | "when">> {
  const condition = when === undefined ? {} : { when: when === false ? null : when };
  if (Object.keys(map).length === 0 && unmap.length === 0) return condition;
  const { params } = await getTrigger(api, name);
  const mapped = Object.keys(params);
  for (const param of unmap) {
    if (Object.hasOwn(map, param)) throw usageError(`${param} is both mapped and unmapped.`);
    if (!mapped.includes(param)) {
      const known = didYouMean(param, mapped) || (mapped.length === 0 ? "" : `; it maps ${mapped.join(", ")}`);
      throw usageError(`${name} maps no parameter "${param}"${known}.`);
    }
  }
  const kept = Object.entries(params).filter(([param]) => !unmap.includes(param));
  return { ...condition, params: { ...Object.fromEntries(kept), ...map } };
}
