import type { Command } from "commander";
import type { CliContext } from "../context.ts";
import type { CommandResult } from "../program.ts";
import { defineStoreCollect } from "./store-collect.ts";
import { defineStoreQuota } from "./store-quota.ts";
import { defineStoreRules } from "./store-rules.ts";
import { defineStoreUsage } from "./store-usage.ts";
import { defineStoreVerify } from "./store-verify.ts";

export function define(command: Command, context: CliContext, result: CommandResult): void {
  defineStoreUsage(command, context);
  defineStoreQuota(command, context);
  defineStoreRules(command, context);
  defineStoreCollect(command, context);
  defineStoreVerify(command, context, result);
}
