import type { Command } from "commander";
import type { CliContext } from "../context.ts";
import type { CommandResult } from "../program.ts";
import { defineStoreRules } from "./store-rules.ts";
import { defineStoreVerify } from "./store-verify.ts";

export function define(command: Command, context: CliContext, result: CommandResult): void {
  defineStoreRules(command, context);
  defineStoreVerify(command, context, result);
}
