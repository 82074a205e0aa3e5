import type { Command } from "commander";
import type { CliContext } from "../context.ts";
import { defineArtifactsGet } from "./artifacts-get.ts";
import { defineArtifactsLineage } from "./artifacts-lineage.ts";
import { defineArtifactsLs } from "./artifacts-ls.ts";
import { defineArtifactsPin } from "./artifacts-pin.ts";
import { defineArtifactsRetention } from "./artifacts-retention.ts";
import { defineArtifactsRemove } from "./artifacts-rm.ts";

export function define(command: Command, context: CliContext): void {
  command.addHelpText("after", "\nAn artifact is named pipeline/step/name, or with /version at the end.");
  defineArtifactsLs(command, context);
  defineArtifactsGet(command, context);
  defineArtifactsRetention(command, context);
  defineArtifactsPin(command, context);
  defineArtifactsRemove(command, context);
  defineArtifactsLineage(command, context);
}
