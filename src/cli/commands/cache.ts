import type { Command } from "commander";
import type { CliContext } from "../context.ts";
import { defineCacheClear } from "./cache-clear.ts";
import { defineCacheExplain } from "./cache-explain.ts";
import { defineCachePlan } from "./cache-plan.ts";

export function define(command: Command, context: CliContext): void {
  defineCachePlan(command, context);
  defineCacheExplain(command, context);
  defineCacheClear(command, context);
}
