import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { StepRun } from "../src/protocol/resources.ts";
import { wasClaimed } from "../src/shim/control-folder.ts";
import { ensureDocker, testImage } from "../test/setup/docker.ts";
import { elapsedMs, spread } from "./measure.ts";
import { fanOut } from "./pipelines.ts";
import { Platform } from "./platform.ts";
import type { Finding } from "./report.ts";

const CONTAINERS = 50;
/** Each waits for a file that is put into its own folder from outside, and looks this often. */
const LOOK_SECONDS = 1;
const SCRIPT = `while [ ! -e /berth/tmp/go ]; do sleep ${LOOK_SECONDS}; done`;
const POLL_INTERVAL_MS = 50;

/**
 * An agent that is killed while it has 50 containers running: from its death until all of them are followed again. That
 * they are is seen by their ends, to which they are told to come as soon as the agent is back.
 */
export async function reattached(rounds: number): Promise<Finding> {
  await using _docker = await ensureDocker();
  const image = await testImage();
  await using platform = await Platform.start({ agentSettings: { stepsAtOnce: CONTAINERS } });
  const back: number[] = [];
  const followed: number[] = [];
  for (let round = 0; round < Math.max(1, Math.ceil(rounds / 3)); round++) {
    const run = await platform.submit(fanOut("many", CONTAINERS, { image }, { run: SCRIPT }), "docker");
    while (!(await allRun(platform, run.id))) await sleep(POLL_INTERVAL_MS);
    back.push(await elapsedMs(() => platform.killAgent()));
    followed.push(
      await elapsedMs(async () => {
        for (const folder of attemptFolders(platform.home)) writeFileSync(join(folder, "tmp", "go"), "");
        const { state } = await platform.ended(run.id);
        if (state !== "succeeded") throw new Error(`the run ${state}`);
      }),
    );
  }
  const [backMs, followedMs] = [spread(back).median, spread(followed).median];
  return {
    title: `Restart of an agent with ${CONTAINERS} running containers`,
    table: [
      ["what", "ms"],
      ["from kill -9 of the agent until the next one is ready", backMs.toFixed(0)],
      ["from then, told to end, until all ends are with the server", followedMs.toFixed(0)],
    ],
    ratios: [
      {
        what: "from kill -9 until every end is known, beyond the containers' own look, s",
        value: (backMs + followedMs) / 1000 - LOOK_SECONDS,
        atMost: 5,
      },
    ],
  };
}

async function allRun(platform: Platform, run: string): Promise<boolean> {
  const { items } = await platform.get<{ items: StepRun[] }>(`/runs/${run}/steps?state=running&limit=${CONTAINERS}`);
  // A step run is running from its intent on; its container has begun when its folder was claimed by the shim.
  return (
    items.length === CONTAINERS && attemptFolders(platform.home).every((folder) => wasClaimed(join(folder, "ctl")))
  );
}

function attemptFolders(home: string): string[] {
  const attempts = join(home, "local-agent", "attempts");
  return readdirSync(attempts).flatMap((part) =>
    readdirSync(join(attempts, part)).map((name) => join(attempts, part, name)),
  );
}
