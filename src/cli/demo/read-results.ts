import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { ArtifactVersion } from "../../protocol/resources.ts";
import { downloadArtifact } from "../artifacts/download.ts";
import type { CliContext } from "../context.ts";
import type { Connection } from "../platform/connection.ts";
import { berthHome } from "../platform/home.ts";

const Metrics = z.object({ model: z.string(), places: z.int(), accuracy: z.number() });

/** The demo's headline, and its report as a file to open: lines for the summary. */
export async function readResults(
  context: CliContext,
  connection: Connection,
  artifacts: readonly ArtifactVersion[],
): Promise<string[]> {
  const folder = join(berthHome(context.env), "demo");
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const fetch = async (name: string) => {
    const artifact = artifacts.find((candidate) => candidate.step === "report" && candidate.name === name);
    if (artifact === undefined) throw new Error(`the demo's run has no artifact report/${name}`);
    return (await downloadArtifact(artifact, { api: connection.api, folder, overwrite: true })).path;
  };
  const report = await fetch("report");
  const { model, places, accuracy } = Metrics.parse(JSON.parse(readFileSync(await fetch("metrics"), "utf8")));
  const { bold } = context.console.style;
  const share = `${(accuracy * 100).toFixed(1)} %`;
  return [
    bold(`${share} of ${places} places that no model had seen were put into the right region (by ${model}).`),
    `The report: ${report}`,
    `The pipeline: ${join(context.root, "examples/demo/pipeline.yaml")}`,
    "",
  ];
}
