import { lchownSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { type Fault, fault } from "../../protocol/faults.ts";
import {
  makeControlFolder,
  type Owner,
  readCancel,
  sayGo,
  wasClaimed,
  wasToldToGo,
} from "../../shim/control-folder.ts";
import { readRecord } from "../../shim/read-record.ts";
import { errnoOf } from "../../std/errno.ts";
import { type AttemptRef, type AttemptSpec, BackendError, type Handle } from "../execution-backend.ts";
import { neverStartedOutcome } from "../outcomes.ts";
import { specHash } from "../spec-hash.ts";
import { handOverSecrets } from "../spec-secrets.ts";
import type { AttemptNote, AttemptNotes } from "./attempt-notes.ts";
import { containerConfig, type GpuAccess } from "./container-config.ts";
import { EngineError, isStatus } from "./engine-error.ts";
import type { CreatedContainer, InspectedContainer } from "./engine-types.ts";
import { refusedIo } from "./io-limits.ts";
import { attemptLabels, readAttemptLabels } from "./labels.ts";
import { type Platform, stepDefaults } from "./platform.ts";
import { networkOf, type ScopeNetworks } from "./scope-networks.ts";
import { isNetworkGone, startFault } from "./start-fault.ts";
import { StartSlots } from "./start-slots.ts";

/** Measured: with more the engine starts fewer per second. */
const STARTS_PER_CORE = 2;
/** Another process is creating the same container, or the engine is removing it: both take a fraction of a second. */
const CREATE_RETRY_INTERVAL_MS = 25;
const CREATE_RETRIES_MAX = 200;

/** One call of `prepare` or `submit`. */
export interface Order {
  readonly handle: Handle;
  readonly ref: AttemptRef;
  readonly spec: AttemptSpec;
  /** Whether user code is to run now. */
  readonly go: boolean;
}

export interface AttemptsOptions {
  readonly installation: string;
  readonly notes: AttemptNotes;
  readonly gpuAccess: GpuAccess;
  readonly platform: () => Promise<Platform>;
  readonly networks: () => Promise<ScopeNetworks>;
}

/** A container that this session started ahead, so that nothing has to be asked about it. */
interface Ahead {
  readonly specHash: string;
  /** The holder whose network it joined; null without one. */
  readonly holder: string | null;
}

/**
 * Creates or adopts the containers of attempts. User code starts at most once: the word to go is a file that stays, the
 * shim claims the attempt exclusively, and a container that is missing after the word to go is never made again.
 */
export class Attempts {
  readonly #options: AttemptsOptions;
  readonly #ahead = new Map<string, Ahead>();
  #slots: StartSlots | null = null;

  constructor(options: AttemptsOptions) {
    this.#options = options;
  }

  forget(name: string): void {
    this.#ahead.delete(name);
  }

  /** Callers let one order per attempt run at a time. */
  async carryOut(order: Order): Promise<void> {
    const { handle, spec, go } = order;
    const ctl = join(handle.folder, "ctl");
    const hash = specHash(spec);
    const { note, isNew } = this.#note(order, hash);
    if (note.verdict !== undefined || readRecord(ctl) !== null || readCancel(ctl) !== null) return;

    const ahead = this.#ahead.get(handle.name);
    if (ahead !== undefined && (await this.#isUsable(ahead, order))) {
      if (!go) return;
      this.#ahead.delete(handle.name);
      handOverSecrets(spec.secrets, (await this.#options.platform()).user.owner);
      sayGo(ctl);
      return;
    }
    this.#ahead.delete(handle.name);

    const platform = await this.#options.platform();
    handOver(spec, platform.user.owner);
    const toldBefore = wasToldToGo(ctl);
    const found = isNew && !toldBefore ? null : await inspect(platform, handle.name);
    // It was there when the word was given: gone now, it may have run.
    if (found === null && toldBefore) return;
    const holder = await this.#holderFor(order);
    this.#slots ??= new StartSlots(STARTS_PER_CORE * platform.info.NCPU);
    try {
      await this.#slots.run(go, async () => {
        const container = await this.#createOrAdopt(order, platform, { found, hash, holder });
        if (go) sayGo(ctl);
        if (container === "created") await this.#start(order, platform, { hash, holder });
      });
    } catch (error) {
      const why = error instanceof EngineError ? startFault(error.message, spec.image) : null;
      if (why === null) throw error;
      this.#settle(handle.name, why);
      return;
    }
    if (!go) this.#ahead.set(handle.name, { specHash: hash, holder });
  }

  /** Writes down what is about to be created. A note with another spec stands in the way. */
  #note({ handle, ref, spec }: Order, hash: string): { note: AttemptNote; isNew: boolean } {
    const { notes } = this.#options;
    const existing = notes.read(handle.name);
    if (existing !== null) {
      if (existing.specHash !== hash) throw specConflict(handle.name);
      return { note: existing, isNew: false };
    }
    const note = { ref, folder: spec.folder, specHash: hash, argv0: spec.argv[0], createdAtMs: Date.now() };
    notes.write(handle.name, note);
    return { note, isNew: true };
  }

  async #isUsable({ holder }: Ahead, { ref, spec }: Order): Promise<boolean> {
    const network = networkOf(ref, spec);
    return holder === null || network === null || (await this.#options.networks()).isCurrent(network, holder);
  }

  async #holderFor({ spec, ref }: Order): Promise<string | null> {
    const network = networkOf(ref, spec);
    return network === null ? null : (await this.#options.networks()).ensure(network);
  }

  /** Says whether there is a container to be started, or one that goes its way (or ended) already. */
  async #createOrAdopt(
    order: Order,
    platform: Platform,
    making: Making & { found: InspectedContainer | null },
  ): Promise<"created" | "adopted"> {
    const { handle } = order;
    const existing = making.found ?? (await this.#create(order, platform, making));
    if (existing === null) return "created";
    if (readAttemptLabels(existing.Config.Labels)?.specHash !== making.hash) throw specConflict(handle.name);
    if (isSpent(existing, making.holder, join(handle.folder, "ctl"))) {
      await remove(platform, existing.Id);
      const another = await this.#create(order, platform, making);
      return another === null || another.State.Status === "created" ? "created" : "adopted";
    }
    return existing.State.Status === "created" ? "created" : "adopted";
  }

  /** Null when it was created; the one that is there when the name was taken. */
  async #create({ handle, ref, spec }: Order, platform: Platform, making: Making): Promise<InspectedContainer | null> {
    const config = containerConfig(spec, {
      labels: attemptLabels(this.#options.installation, { ref, folder: spec.folder, specHash: making.hash }),
      shim: platform.shim,
      user: platform.user.user,
      usernsMode: platform.user.usernsMode,
      gpuAccess: this.#options.gpuAccess,
      defaults: stepDefaults(platform),
      disks: platform.io.devices,
      networkMode: making.holder === null ? "none" : `container:${making.holder}`,
    });
    for (let tries = 0; ; tries++) {
      try {
        const { Warnings } = await platform.engine.createContainer(handle.name, config);
        refuseWithoutIo(spec, Warnings);
        return null;
      } catch (error) {
        if (isStatus(error, 404)) throw imageGone(spec.image, error);
        if (!isStatus(error, 409)) throw error;
        const existing = await inspect(platform, handle.name);
        if (existing !== null) return existing;
        // A name is taken some time before its container can be seen, or after it was removed.
        if (tries >= CREATE_RETRIES_MAX) throw error;
      }
      await setTimeout(CREATE_RETRY_INTERVAL_MS);
    }
  }

  async #start(order: Order, platform: Platform, making: Making): Promise<void> {
    const { handle, ref, spec } = order;
    const network = networkOf(ref, spec);
    try {
      await platform.engine.startContainer(handle.name);
    } catch (error) {
      if (network === null || !(error instanceof EngineError) || !isNetworkGone(error.message)) throw error;
      const networks = await this.#options.networks();
      networks.forgetHolderOf(network);
      const holder = await networks.ensure(network);
      await remove(platform, handle.name);
      await this.#create(order, platform, { ...making, holder });
      await platform.engine.startContainer(handle.name);
    }
  }

  /** Keeps the end of an attempt whose container cannot be made or started. */
  #settle(name: string, why: Fault): void {
    const note = this.#options.notes.read(name);
    if (note === null) return;
    const verdict = { state: "terminal", userCode: "never", outcome: neverStartedOutcome(why) } as const;
    this.#options.notes.write(name, { ...note, verdict });
  }
}

interface Making {
  readonly hash: string;
  readonly holder: string | null;
}

/** Gives the attempt's folders to the user that the step runs as. What is in `in` stays as it is: it may be shared. */
export function handOver({ folder, secrets }: Pick<AttemptSpec, "folder" | "secrets">, owner: Owner | null): void {
  makeControlFolder(join(folder, "ctl"), owner);
  handOverSecrets(secrets, owner);
  if (owner === null) return;
  for (const path of [folder, join(folder, "in"), join(folder, "out"), join(folder, "tmp")]) {
    try {
      lchownSync(path, owner.uid, owner.gid);
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw error;
    }
  }
}

/**
 * Whether a container that was made ahead can no longer become the attempt: it ended while it was held, or the network
 * that it joined is not the scope's any more. No user code has run in it then, and none will.
 */
function isSpent({ State, HostConfig }: InspectedContainer, holder: string | null, ctl: string): boolean {
  if (wasToldToGo(ctl) || wasClaimed(ctl)) return false;
  const isOver = State.Status === "exited" || State.Status === "dead";
  return isOver || (holder !== null && HostConfig.NetworkMode !== `container:${holder}`);
}

async function inspect({ engine }: Platform, name: string): Promise<InspectedContainer | null> {
  try {
    return await engine.inspectContainer(name);
  } catch (error) {
    if (isStatus(error, 404)) return null;
    throw error;
  }
}

async function remove({ engine }: Platform, name: string): Promise<void> {
  try {
    await engine.removeContainer(name);
  } catch (error) {
    if (!isStatus(error, 404)) throw error;
  }
}

/** The container that was made is not started, and goes with the attempt. */
function refuseWithoutIo({ limits }: AttemptSpec, warnings: CreatedContainer["Warnings"]): void {
  const refused = limits.io === undefined ? null : refusedIo(warnings);
  if (refused !== null) throw new EngineError(400, `limits of transfers are not kept: ${refused}`);
}

function specConflict(name: string): BackendError {
  const message = `The attempt ${name} exists with another specification; it was left alone.`;
  return new BackendError("spec-conflict", fault("spec-conflict", message));
}

function imageGone(image: string | null, cause: EngineError): BackendError {
  const message = `The image ${image} is not on the worker any more.`;
  return new BackendError("not-found", fault("image-not-found", message, { evidence: cause.message }), { cause });
}
