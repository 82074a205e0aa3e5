import type { Command } from "commander";
import type { CliContext } from "../context.ts";
import { defineStoreRules } from "./store-rules.ts";

export function define(command: Command, context: CliContext): void {
  defineStoreRules(command, context);
}
