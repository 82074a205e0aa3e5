import { join } from "node:path";
import type { Command } from "commander";
import type { ArtifactVersion } from "../../protocol/resources.ts";
import { usageError } from "../cli-error.ts";
import type { CliContext } from "../context.ts";
import { ensureBaseImage, OFFICIAL_BASE } from "../demo/base-image.ts";
import { DockerEngine } from "../demo/docker-engine.ts";
import { ensureDocker } from "../demo/ensure-docker.ts";
import { ensurePython } from "../demo/ensure-python.ts";
import { readResults } from "../demo/read-results.ts";
import { inspectSystem } from "../demo/system.ts";
import { runName } from "../follow/summary.ts";
import { connect } from "../platform/connection.ts";
import type { CommandResult } from "../program.ts";
import { type PipelineFile, readPipeline } from "../read-pipeline.ts";
import { interruptsOfRun, runToEnd, submitRun } from "../run-pipeline.ts";
import { uploadSource } from "../upload-source.ts";

interface Options {
  readonly backend: string;
}

export function define(command: Command, context: CliContext, result: CommandResult): void {
  command
    .option("--backend <name>", "docker, or process for a machine without Docker", "docker")
    .addHelpText("after", HELP)
    .action((options: Options) => demo(context, options, result));
}

const HELP = `
Starts Berth in the background, and runs examples/demo/pipeline.yaml: real steps on real data, each in a container of
its own. Where Docker is missing on Debian or Ubuntu, it is installed from the distribution's packages, after saying so;
\`--no-install\` refuses that.

Examples:
  berth demo
  berth demo --no-install
  berth demo --backend process`;

async function demo(context: CliContext, { backend }: Options, result: CommandResult): Promise<void> {
  if (backend !== "docker" && backend !== "process")
    throw usageError(`The demo runs on docker or process, not on "${backend}".`);
  const { note, noteStyle } = context.console;
  note(noteStyle.bold("A pipeline that learns which region of the world a place lies in."));
  note(
    backend === "docker"
      ? "Its steps run in Docker containers: some one after another, some at once, some on parts of a table."
      : "Its steps run as plain processes on this machine: no containers, no isolation.",
  );
  const pipeline = await preparePipeline(context, backend);
  const connection = await connect(context, {});
  const source = await uploadSource(context, connection, pipeline);
  using interrupts = interruptsOfRun(context);
  const run = await submitRun(connection, {
    pipeline: pipeline.text,
    fileName: pipeline.name,
    source,
    backend,
  });
  note(`Running it as ${runName(run)}.`);
  const results = (artifacts: readonly ArtifactVersion[]) => readResults(context, connection, artifacts);
  result.exitCode = await runToEnd(context, connection, run, { json: false, quiet: false, results, interrupts });
}

/** The demo's pipeline, on whatever base image this machine can have. */
async function preparePipeline(context: CliContext, backend: "docker" | "process"): Promise<PipelineFile> {
  const pipeline = readPipeline(join(context.root, "examples/demo/pipeline.yaml"));
  if (backend === "process") {
    ensurePython();
    return pipeline;
  }
  const engine = new DockerEngine(context.env);
  const system = inspectSystem();
  await ensureDocker(context, engine, system);
  const base = await ensureBaseImage(context, engine, system);
  const official = `base: ${OFFICIAL_BASE.repository}:${OFFICIAL_BASE.tag}`;
  return { ...pipeline, text: pipeline.text.replace(official, `base: ${base}`) };
}
