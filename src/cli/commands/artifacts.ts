import type { Command } from "commander";
import type { CliContext } from "../context.ts";
import { defineArtifactsGet } from "./artifacts-get.ts";
import { defineArtifactsLineage } from "./artifacts-lineage.ts";
import { defineArtifactsLs } from "./artifacts-ls.ts";

export function define(command: Command, context: CliContext): void {
  command.addHelpText("after", "\nAn artifact is named pipeline/step/name, or with /version at the end.");
  defineArtifactsLs(command, context);
  defineArtifactsGet(command, context);
  defineArtifactsLineage(command, context);
}
