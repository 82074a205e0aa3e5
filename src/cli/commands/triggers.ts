import type { Command } from "commander";
import type { Delivery, Trigger } from "../../protocol/triggers.ts";
import { listTriggers } from "../api/triggers.ts";
import type { CliContext } from "../context.ts";
import { connect } from "../platform/connection.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";
import { formatAge } from "../terminal/format-duration.ts";
import { plainText } from "../terminal/plain-text.ts";
import { renderTable } from "../terminal/table.ts";
import { defineTriggersCreate } from "./triggers-create.ts";
import { defineTriggersPause } from "./triggers-pause.ts";
import { defineTriggersRemove } from "./triggers-remove.ts";
import { defineTriggersRotate } from "./triggers-rotate.ts";
import { defineTriggersShow } from "./triggers-show.ts";
import { defineTriggersUpdate } from "./triggers-update.ts";

type Options = WithServer<{ json?: boolean }>;

export function define(command: Command, context: CliContext): void {
  withServerOptions(command.command("list", { isDefault: true }).alias("ls"))
    .description("list triggers, with what became of the last message of each")
    .option("--json", "print JSON")
    .addHelpText("after", "\nExample:\n  berth triggers")
    .action((options: Options) => printTriggers(context, options));
  defineTriggersCreate(command, context);
  defineTriggersUpdate(command, context);
  defineTriggersShow(command, context);
  defineTriggersRotate(command, context);
  defineTriggersPause(command, context);
  defineTriggersRemove(command, context);
}

async function printTriggers(context: CliContext, options: Options): Promise<void> {
  const { console } = context;
  const triggers = await listTriggers((await connect(context, options)).api);
  if (options.json) return console.out(JSON.stringify(triggers, null, 2));
  if (triggers.length === 0) return console.note("There are no triggers. Make one: berth triggers create --help");
  for (const line of renderTable(COLUMNS, triggers.map(cells))) console.out(line);
}

const COLUMNS = ["TRIGGER", "STATE", "PIPELINE", "LAST", ""].map((title) => ({ title }));

function cells({ name, state, pipeline, pipelineVersion, lastDelivery }: Trigger): string[] {
  const last =
    lastDelivery === null
      ? ["never", ""]
      : [formatAge(Date.now() - Date.parse(lastDelivery.receivedAt)), deliveryText(pipeline, lastDelivery)];
  return [name, state, `${pipeline} version ${pipelineVersion}`, ...last];
}

/** `wine#12 succeeded`, `ignored`, `refused: The trigger is paused.` */
export function deliveryText(pipeline: string, { outcome, run, message }: Delivery): string {
  if (run !== null) return `${pipeline}#${run.number} ${run.state}`;
  return message === null ? outcome : `${outcome}: ${plainText(message)}`;
}
