import { randomUUID } from "node:crypto";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { makeControlFolder, sayGo, writeCancel } from "../../shim/control-folder.ts";
import { readRecord } from "../../shim/read-record.ts";
import type { ContainerUser } from "./container-user.ts";
import type { Engine } from "./engine.ts";
import { isStatus } from "./engine-error.ts";
import { checkLabels } from "./labels.ts";
import { ownContainerConfig } from "./own-container.ts";
import { removeContainer } from "./remove-container.ts";

const CHECK_TIMEOUT_MS = 30_000;
/** A check this old was left by an agent that died in the middle of it. */
const ABANDONED_AFTER_MS = 5 * 60_000;

export interface HostCheck {
  readonly installation: string;
  readonly stateFolder: string;
  readonly image: string;
  readonly user: ContainerUser;
}

/**
 * Whether the engine sees this host's files and can run containers at all: a container gets a fresh control folder of
 * this host and must leave a record in it. Returns why not, for people; null when all is well.
 */
export async function whyNotThisHost(engine: Engine, check: HostCheck): Promise<string | null> {
  const {
    installation,
    stateFolder,
    image,
    user: { user, owner, usernsMode },
  } = check;
  await removeAbandoned(engine, installation);
  const nonce = `berth-check-${randomUUID()}`;
  const folder = join(stateFolder, nonce);
  mkdirSync(folder);
  try {
    makeControlFolder(folder, owner);
    // The shim finds both and ends at once, with a record, without starting anything.
    writeCancel(folder, { graceMs: 0, reason: "user" });
    sayGo(folder);
    const mounts = [{ Type: "bind", Source: folder, Target: "/ctl", ReadOnly: false }];
    const labels = checkLabels(installation);
    const args = ["/ctl", "--", "none"];
    const container = { image, args, labels, user, networkMode: "none", usernsMode, mounts, autoRemove: true } as const;
    const config = ownContainerConfig(container);
    await engine.createContainer(nonce, config);
    await engine.startContainer(nonce);
    await engine.waitContainer(nonce, CHECK_TIMEOUT_MS).catch((error) => {
      if (!isStatus(error, 404)) throw error; // It ended, and is removed already.
    });
    if (readRecord(folder)?.cancel === "user") return null;
    return `a container ran, but what it wrote is not in ${folder} of this host: the engine must run on the agent's own host`;
  } catch (error) {
    if (isStatus(error, 400) && error.message.includes("bind source path does not exist")) {
      return `the engine does not see ${folder}: it must run on the agent's own host`;
    }
    throw error;
  } finally {
    await removeContainer(engine, nonce);
    rmSync(folder, { recursive: true, force: true });
  }
}

async function removeAbandoned(engine: Engine, installation: string): Promise<void> {
  const listed = await engine.listContainers(Object.entries(checkLabels(installation)).map((pair) => pair.join("=")));
  const abandoned = listed.filter(({ Created }) => Date.now() - Created * 1000 > ABANDONED_AFTER_MS);
  await Promise.all(abandoned.map(({ Id }) => removeContainer(engine, Id)));
}
