import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { handOver } from "../src/backends/docker/attempts.ts";
import { containerConfig } from "../src/backends/docker/container-config.ts";
import { Engine } from "../src/backends/docker/engine.ts";
import { engineAddress } from "../src/backends/docker/engine-address.ts";
import { connect, type Platform, stepDefaults } from "../src/backends/docker/platform.ts";
import { removeContainer } from "../src/backends/docker/remove-container.ts";
import type { AttemptSpec } from "../src/backends/execution-backend.ts";
import { sayGo } from "../src/shim/control-folder.ts";
import { readRecord } from "../src/shim/read-record.ts";
import { ensureDocker, testImage } from "../test/setup/docker.ts";
import { elapsedMs, interleaved, spread } from "./measure.ts";
import type { Finding } from "./report.ts";

/** Containers per figure. */
const COUNT = 8;
const END_TIMEOUT_MS = 60_000;

interface Body {
  readonly HostConfig: { readonly Mounts: object[]; readonly NetworkMode: string };
}

/** What the limits and refusals of a step's container cost: the same container with them and with the engine's defaults. */
export async function hardenedContainers(rounds: number): Promise<Finding> {
  await using docker = await ensureDocker();
  const image = await testImage();
  const folder = mkdtempSync(join(tmpdir(), "berth-bench-hardened-"));
  using engine = new Engine(engineAddress(docker.host, process.env));
  try {
    const platform = await connect({ engine, stateFolder: join(folder, "state") });
    const plain = ({ HostConfig: { Mounts, NetworkMode }, ...body }: Body) => ({
      ...body,
      HostConfig: { Mounts, NetworkMode },
    });
    const series = await interleaved(
      {
        plain: () => runMany(platform, { folder, image, change: plain }),
        hardened: () => runMany(platform, { folder, image, change: (body) => body }),
      },
      rounds,
    );
    const plainMs = spread(series.get("plain")!.values).median / COUNT;
    const hardenedMs = spread(series.get("hardened")!.values).median / COUNT;
    return {
      title: "The limits of a container",
      table: [
        ["what", "ms per container"],
        ["with the engine's defaults", plainMs.toFixed(0)],
        ["as a step has it", hardenedMs.toFixed(0)],
      ],
      ratios: [{ what: "as a step has it / with the engine's defaults", value: hardenedMs / plainMs, atMost: 1.1 }],
      notes: [
        "Created, started, waited for and removed by the engine's API; program, mounts and network are the same.",
      ],
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Contender {
  readonly folder: string;
  readonly image: string;
  readonly change: (body: Body) => object;
}

/** One container after the other; milliseconds of all. */
async function runMany(platform: Platform, { folder, image, change }: Contender): Promise<number> {
  const prepared = Array.from({ length: COUNT }, () => {
    const name = `berth-bench-${randomBytes(8).toString("hex")}`;
    const attempt = join(folder, name);
    for (const part of ["in", "out", "tmp"]) mkdirSync(join(attempt, part), { recursive: true });
    handOver({ folder: attempt }, platform.user.owner);
    sayGo(join(attempt, "ctl"));
    return { name, attempt };
  });
  return await elapsedMs(async () => {
    for (const { name, attempt } of prepared) await runOne(platform, name, change(bodyOf(platform, image, attempt)));
    for (const { attempt } of prepared) {
      if (readRecord(join(attempt, "ctl"))?.exit !== 0) throw new Error(`the container of ${attempt} did not succeed`);
    }
  });
}

async function runOne({ engine }: Platform, name: string, body: object): Promise<void> {
  try {
    await engine.createContainer(name, body);
    await engine.startContainer(name);
    await engine.waitContainer(name, END_TIMEOUT_MS);
  } finally {
    await removeContainer(engine, name);
  }
}

function bodyOf(platform: Platform, image: string, folder: string): Body {
  const spec: AttemptSpec = {
    ...{ image, argv: ["true"], env: {}, workingFolder: null, folder, mounts: [], network: "none", labels: {} },
    limits: { cpus: null, memoryBytes: null, pids: 512 },
  };
  const { user, shim } = platform;
  return containerConfig(spec, {
    ...{ labels: {}, shim, networkMode: "none", gpuAccess: "devices", defaults: stepDefaults(platform) },
    ...{ user: user.user, usernsMode: user.usernsMode },
  }) as Body;
}
