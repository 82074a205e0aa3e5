import type { Command } from "commander";
import type { CliContext } from "../context.ts";
import { defineTokenCreate } from "./token-create.ts";
import { defineTokenLs } from "./token-ls.ts";
import { defineTokenRevoke } from "./token-revoke.ts";

export function define(command: Command, context: CliContext): void {
  command.addHelpText("after", "\nAPI tokens let people and programs in; registration tokens let one worker in, once.");
  defineTokenCreate(command, context);
  defineTokenLs(command, context);
  defineTokenRevoke(command, context);
}
