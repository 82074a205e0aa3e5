import type { Command } from "commander";
import type { CliContext } from "../context.ts";
import type { CommandResult } from "../program.ts";
import { defineArtifactsGet } from "./artifacts-get.ts";
import { defineArtifactsLineage } from "./artifacts-lineage.ts";
import { defineArtifactsLs } from "./artifacts-ls.ts";
import { defineArtifactsPin } from "./artifacts-pin.ts";
import { defineArtifactsPreview } from "./artifacts-preview.ts";
import { defineArtifactsKeys, defineArtifactsProvenance } from "./artifacts-provenance.ts";
import { defineArtifactsRetention } from "./artifacts-retention.ts";
import { defineArtifactsRemove } from "./artifacts-rm.ts";
import { defineArtifactsShow } from "./artifacts-show.ts";
import { defineArtifactsTag } from "./artifacts-tag.ts";
import { defineArtifactsVerify } from "./artifacts-verify.ts";

export function define(command: Command, context: CliContext, result: CommandResult): void {
  command.addHelpText("after", "\nAn artifact is named pipeline/step/name, or with /version at the end.");
  defineArtifactsLs(command, context);
  defineArtifactsShow(command, context);
  defineArtifactsGet(command, context);
  defineArtifactsRetention(command, context);
  defineArtifactsPin(command, context);
  defineArtifactsRemove(command, context);
  defineArtifactsPreview(command, context);
  defineArtifactsLineage(command, context);
  defineArtifactsProvenance(command, context);
  defineArtifactsVerify(command, context, result);
  defineArtifactsKeys(command, context);
  defineArtifactsTag(command, context);
}
