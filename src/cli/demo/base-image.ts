import { spawn } from "node:child_process";
import { closeSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { CliError } from "../cli-error.ts";
import type { CliContext } from "../context.ts";
import { berthHome, homeFiles } from "../platform/home.ts";
import { openLog } from "../platform/log-file.ts";
import type { DockerEngine } from "./docker-engine.ts";
import { installPackages } from "./install-packages.ts";
import { findProgram, type System } from "./system.ts";

/** What the demo's pipeline file asks for. */
export const OFFICIAL_BASE = { repository: "python", tag: "3.12-slim" } as const;
/** Never under the official name: this image is another one. */
const OWN_REPOSITORY = "berth/demo-base";
/** A registry that cannot be reached should not cost a minute; one that is there sends the image within a few. */
const PULL_LIMITS = { reachMs: 10_000, totalMs: 180_000 } as const;
const PACKAGES = "python3,python3-pip,python-is-python3,ca-certificates";
const OTHERWISE = ["Without images: `berth demo --backend process` runs the same pipeline in plain processes."];

/** The base image to use: the official one, or where no registry can be reached an equivalent one made here. */
export async function ensureBaseImage(context: CliContext, engine: DockerEngine, system: System): Promise<string> {
  const official = `${OFFICIAL_BASE.repository}:${OFFICIAL_BASE.tag}`;
  if (await engine.hasImage(official)) return official;
  const tag = system.distribution?.codename ?? "none";
  const own = `${OWN_REPOSITORY}:${tag}`;
  if (await engine.hasImage(own)) return own;

  const { note } = context.console;
  note(`Pulling the base image ${official}.`);
  if (await engine.pull(OFFICIAL_BASE.repository, OFFICIAL_BASE.tag, PULL_LIMITS)) return official;
  note(`${official} could not be pulled from its registry; building an equivalent base image from packages.`);
  if (findProgram("mmdebstrap") === null) {
    await installPackages(context, system, ["mmdebstrap"], "mmdebstrap, which makes images from packages,", OTHERWISE);
  }
  if (system.distribution === null) {
    throw new CliError("An own base image can be built on Debian and Ubuntu only.", { advice: OTHERWISE });
  }
  await buildBase(context, engine, tag);
  return own;
}

async function buildBase(context: CliContext, engine: DockerEngine, codename: string): Promise<void> {
  const { note, noteStyle } = context.console;
  const logs = homeFiles(berthHome(context.env)).logs;
  mkdirSync(logs, { recursive: true, mode: 0o700 });
  const logFile = join(logs, "base-image.log");
  const args = ["--variant=minbase", `--include=${PACKAGES}`, codename, "-"];
  note(
    noteStyle.dim(
      `  mmdebstrap ${args.join(" ")} → ${OWN_REPOSITORY}:${codename}   (about 30 s, once; output in ${logFile})`,
    ),
  );
  const logFd = openLog(logFile);
  const child = spawn(findProgram("mmdebstrap") ?? "mmdebstrap", args, { stdio: ["ignore", "pipe", logFd] });
  closeSync(logFd);
  const exited = new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", resolve);
  });
  const imported = engine.importImage(OWN_REPOSITORY, `${codename}-unchecked`, child.stdout!, ['CMD ["python3"]']);
  const [code] = await Promise.all([exited, imported]).catch(() => [1]);
  if (code !== 0) {
    throw new CliError("The base image could not be built.", {
      advice: [`mmdebstrap's output is in ${logFile}.`, ...OTHERWISE],
    });
  }
  await engine.renameImage(`${OWN_REPOSITORY}:${codename}-unchecked`, OWN_REPOSITORY, codename);
}
