import type { ArtifactVersion } from "../../protocol/resources.ts";
import type { Style } from "../terminal/style.ts";
import type { RunView } from "./run-view.ts";

/** The commands that say more about a run, ready to be copied. */
export function lookFurther(run: string, view: RunView, artifacts: readonly ArtifactVersion[], style: Style): string[] {
  const allFailed = [...view.rows.values()].filter((row) => row.state === "failed");
  const failed = allFailed.find(({ mayFail }) => !mayFail) ?? allFailed[0];
  const logs = failed === undefined ? [] : [`berth logs ${run} --step ${failed.step}`];
  const last = artifacts.at(-1);
  const get =
    last === undefined ? [] : [`berth artifacts get ${last.pipeline}/${last.step}/${last.name}/${last.version}`];
  const commands = [...logs, ...get, `berth run show ${run}`, ...(logs.length > 0 ? [] : [`berth logs ${run}`])];
  return [style.dim("Look further:"), ...commands.map((command) => `  ${command}`)];
}
