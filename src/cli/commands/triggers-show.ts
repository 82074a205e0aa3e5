import type { Command } from "commander";
import type { TriggerDetail } from "../../protocol/triggers.ts";
import { getTrigger } from "../api/triggers.ts";
import type { CliContext } from "../context.ts";
import { connect } from "../platform/connection.ts";
import { type WithServer, withServerOptions } from "../server-options.ts";
import { formatLocal } from "../terminal/format-moment.ts";
import { plainText } from "../terminal/plain-text.ts";
import { renderTable } from "../terminal/table.ts";
import { mappingFacts } from "../trigger-mapping.ts";
import { deliveryText } from "./triggers.ts";

type Options = WithServer<{ json?: boolean }>;

/** `berth triggers show NAME` */
export function defineTriggersShow(parent: Command, context: CliContext): void {
  withServerOptions(parent.command("show <trigger>"))
    .description("show a trigger: its address, what it makes of a message, and what became of the last ones")
    .option("--json", "print JSON")
    .addHelpText("after", "\nExample:\n  berth triggers show push")
    .action(async (name: string, options: Options) => {
      const { api } = await connect(context, options);
      const trigger = await getTrigger(api, name);
      if (options.json) return context.console.out(JSON.stringify(trigger, null, 2));
      for (const line of renderTrigger(trigger, api.server)) context.console.out(line);
    });
}

function renderTrigger(trigger: TriggerDetail, server: string): string[] {
  const { paused, oldSecretUntil, pipeline } = trigger;
  const why = paused === null || paused.reason === null ? "" : `, ${plainText(paused.reason)}`;
  const facts = [
    ["address", new URL(trigger.path, server).href],
    ["state", paused === null ? trigger.state : `paused: by ${plainText(paused.by)}${why}`],
    ["runs", `${pipeline} version ${trigger.pipelineVersion}`],
    ...mappingFacts(trigger),
    ...(oldSecretUntil === null ? [] : [["old secret", `good until ${formatLocal(oldSecretUntil)}`]]),
    ["changed", `${formatLocal(trigger.changedAt)} by ${plainText(trigger.changedBy)}`],
  ];
  const deliveries = trigger.deliveries.map((delivery) => [
    formatLocal(delivery.receivedAt),
    plainText(delivery.id),
    deliveryText(pipeline, delivery),
  ]);
  return [
    trigger.name,
    ...renderTable([{ title: "" }, { title: "" }], facts).map((line) => `  ${line}`),
    "",
    ...(deliveries.length === 0
      ? ["No signed message has come yet."]
      : ["Last:", ...renderTable(UNTITLED, deliveries).map((line) => `  ${line}`)]),
  ];
}

const UNTITLED = ["", "", ""].map((title) => ({ title }));
