import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Logger } from "pino";
import type { BackendSession, ExecutionBackend } from "../backends/execution-backend.ts";
import type { KeptImages } from "../backends/kept-images.ts";
import { usedLately } from "../runtime/used-lately.ts";
import { matchesGlob } from "../std/glob.ts";
import type { AgentConfig } from "./config.ts";
import type { Identity } from "./identity.ts";
import { journaledDigests } from "./needed-blobs.ts";

export interface ImageCareOptions {
  readonly home: string;
  readonly config: Pick<AgentConfig, "imageBytesMax" | "imagesKept">;
  /** By name of the backend. */
  readonly sessions: ReadonlyMap<string, Pick<BackendSession, "keptImages">>;
  readonly log?: Logger;
}

/** An image that is on this worker because of runs. */
export interface WorkerImage {
  readonly backend: string;
  readonly id: string;
  readonly names: readonly string[];
  readonly bytes: number;
  readonly lastUsedAt: string;
  /** What keeps it whatever the budget, for people; null: it may go. */
  readonly kept: string | null;
}

interface FoundImage {
  readonly image: WorkerImage;
  readonly usedAtMs: number;
  readonly store: KeptImages;
}

export interface WorkerImages {
  readonly images: readonly WorkerImage[];
  readonly bytes: number;
  readonly budgetBytes: number;
}

export interface ImagesPruned {
  readonly removed: readonly WorkerImage[];
  readonly removedBytes: number;
  readonly leftBytes: number;
}

/**
 * Looks after the images that runs brought to a worker, beside its agent or in it: what is needed is on the disk and in
 * the engine, and nothing that this worker had before is among them.
 */
export class ImageCare {
  readonly #options: ImageCareOptions;

  constructor(options: ImageCareOptions) {
    this.#options = options;
  }

  /** The longest unused first. */
  async show(): Promise<WorkerImages> {
    const { imageBytesMax: budgetBytes } = this.#options.config;
    const images = (await this.#found()).map(({ image }) => image);
    return { images, bytes: sum(images), budgetBytes };
  }

  /** Removes the longest unused images until at most this many bytes are left, and none that is kept. */
  async prune(bytesMax: number): Promise<ImagesPruned> {
    const found = await this.#found();
    const removed: WorkerImage[] = [];
    let leftBytes = sum(found.map(({ image }) => image));
    for (const { image, usedAtMs, store } of found) {
      if (leftBytes <= bytesMax) break;
      if (image.kept !== null || !(await store.remove({ id: image.id, usedAtMs }))) continue;
      this.#options.log?.info(image, "removed an image that was not used for the longest time");
      removed.push(image);
      leftBytes -= image.bytes;
    }
    return { removed, removedBytes: sum(removed), leftBytes };
  }

  async #found(): Promise<FoundImage[]> {
    const { home, sessions } = this.#options;
    const found: FoundImage[] = [];
    for (const [backend, { keptImages: store }] of sessions) {
      if (store === undefined) continue;
      const listed = await store.list();
      // Read after the list: an image that a run took since is in use, and named by a journal before it is not any more.
      const journaled = journaledDigests(home);
      for (const { neededBy, usedAtMs, ...image } of listed) {
        const isOfRun = journaled.has(image.id.replace(/^sha256:/, ""));
        const kept = neededBy ?? (isOfRun ? "a run on this worker" : this.#whyKept(image.names, usedAtMs));
        const lastUsedAt = new Date(usedAtMs).toISOString();
        found.push({ image: { backend, ...image, lastUsedAt, kept }, store, usedAtMs });
      }
    }
    return found.sort((left, right) => left.usedAtMs - right.usedAtMs);
  }

  #whyKept(names: readonly string[], usedAtMs: number): string | null {
    const pattern = this.#options.config.imagesKept.find((one) => names.some((name) => matchesGlob(one, name)));
    if (pattern !== undefined) return `imagesKept: ${pattern}`;
    return usedLately(usedAtMs) ? "a use within the last minute" : null;
  }
}

/** Beside an agent, or without one: with sessions of its own, which `using` closes. */
export async function openImageCare(
  home: string,
  { installation }: Pick<Identity, "installation">,
  config: AgentConfig,
  backends: readonly ExecutionBackend[],
): Promise<{ readonly care: ImageCare } & AsyncDisposable> {
  await using opened = new AsyncDisposableStack();
  const sessions = new Map<string, BackendSession>();
  for (const backend of backends) {
    const stateFolder = join(home, "backends", backend.name);
    mkdirSync(stateFolder, { recursive: true, mode: 0o700 });
    const settings = config.backends[backend.name] ?? {};
    sessions.set(backend.name, opened.use(await backend.open({ installation, stateFolder, settings })));
  }
  const owned = opened.move();
  return { care: new ImageCare({ home, config, sessions }), [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

function sum(images: readonly WorkerImage[]): number {
  return images.reduce((total, { bytes }) => total + bytes, 0);
}
