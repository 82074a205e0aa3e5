import { existsSync } from "node:fs";
import { type Fault, fault } from "../../protocol/faults.ts";
import { repositoryOf } from "../../std/image-repository.ts";
import { SingleFlight } from "../../std/single-flight.ts";
import type { ImageRequest, ImageResult } from "../image-request.ts";
import { type Builder, buildImage } from "./build-image.ts";
import type { Engine } from "./engine.ts";
import { isStatus } from "./engine-error.ts";
import type { InspectedImage, ListedImage } from "./engine-types.ts";
import { pullFault } from "./image-fault.ts";
import { familiarName, isImageId, isImageName } from "./image-name.ts";
import type { ImageNotes } from "./image-notes.ts";
import { pullImage } from "./pull-image.ts";

type OnLog = (chunk: Uint8Array) => void;

export interface ImagesOptions {
  /** The engine's architecture in Go's names. */
  readonly arch: string;
  readonly builder: Builder;
  /** Of what comes to the engine by this. */
  readonly notes: ImageNotes;
}

/** Makes images ready: finds, pulls or builds them, each once however many ask. */
export class Images {
  readonly #engine: Engine;
  readonly #arch: string;
  readonly #builder: Builder;
  readonly #notes: ImageNotes;
  readonly #flights = new SingleFlight<ImageResult>();
  /** Who listens to the work under way, by key. */
  readonly #listeners = new Map<string, Set<OnLog>>();

  constructor(engine: Engine, { arch, builder, notes }: ImagesOptions) {
    this.#engine = engine;
    this.#arch = arch;
    this.#builder = builder;
    this.#notes = notes;
  }

  async prepare(request: ImageRequest, onLog: OnLog, signal: AbortSignal): Promise<ImageResult> {
    const key = `${request.pull ?? "missing"} ${nameOf(request)}`;
    const listeners = this.#listeners.get(key) ?? new Set();
    this.#listeners.set(key, listeners.add(onLog));
    const tellAll: OnLog = (chunk) => {
      for (const listener of listeners) listener(chunk);
    };
    try {
      for (;;) {
        let isOwn = false;
        const work = (shared: AbortSignal) => {
          isOwn = true;
          return this.#prepare(request, tellAll, shared);
        };
        const result = await this.#flights.run(key, work, signal);
        // What a registry refuses to another run's login it may give to this one's.
        if (isOwn || result.ok || result.fault.code !== "image-denied") return result;
      }
    } finally {
      listeners.delete(onLog);
      if (listeners.size === 0 && this.#listeners.get(key) === listeners) this.#listeners.delete(key);
    }
  }

  async #prepare(request: ImageRequest, onLog: OnLog, signal: AbortSignal): Promise<ImageResult> {
    const name = nameOf(request);
    if (!isImageName(name)) {
      return { ok: false, fault: fault("image-not-found", `${JSON.stringify(name)} is not a name of an image.`) };
    }
    const present = await this.#inspect(name);
    const isAsked = request.pull === "always" && !isImageId(name);
    if (present !== null && !isAsked) return this.#ready(name, present, true);
    const before = await this.#engine.listImages();
    const failure = await this.#make(request, onLog, signal);
    if (request.kind === "build" && request.base !== undefined) await this.#note(request.base, before);
    if (failure !== null) return { ok: false, fault: failure };
    const made = await this.#note(name, before);
    if (made !== null) return this.#ready(name, made, made.Id === present?.Id);
    const why = `The image ${name} is not there although the engine reported that it was made.`;
    return { ok: false, fault: fault("image-pull-transient", why) };
  }

  async #make(request: ImageRequest, onLog: OnLog, signal: AbortSignal): Promise<Fault | null> {
    const needed = request.kind === "build" ? request.base : request.image;
    if (request.pull === "never" && needed !== undefined && (await this.#inspect(needed)) === null) {
      return notToBePulled(needed);
    }
    if (request.kind === "build")
      return buildImage({ engine: this.#engine, builder: this.#builder }, request, onLog, signal);
    if (isImageId(request.image)) return pullFault(request.image, `no such image: ${request.image}`);
    return pullImage(this.#engine, request, onLog, signal);
  }

  /** Writes down that an image is there because of a run, unless it, or a name that moved to it, was somebody else's before. */
  async #note(name: string, before: readonly ListedImage[]): Promise<InspectedImage | null> {
    const image = await this.#inspect(name);
    if (image === null) return null;
    const repository = familiarName(repositoryOf(name));
    const had = new Map(before.flatMap(({ Id, RepoTags }) => (RepoTags ?? []).map((tag) => [tag, Id])));
    const tags = (image.RepoTags ?? []).filter((tag) => repositoryOf(tag) === repository && had.get(tag) !== image.Id);
    const isTheirs = (tag: string) => had.has(tag) && !this.#notes.read(had.get(tag)!)?.names.includes(tag);
    const isNew = before.every(({ Id }) => Id !== image.Id);
    if ((!isNew && this.#notes.read(image.Id) === null) || tags.some(isTheirs)) return image;
    const digests = (image.RepoDigests ?? []).filter((digest) => repositoryOf(digest) === repository);
    this.#notes.add(image.Id, [...tags, ...digests]);
    return image;
  }

  async #inspect(image: string): Promise<InspectedImage | null> {
    try {
      return await this.#engine.inspectImage(image);
    } catch (error) {
      // 400: no valid name; what is wrong with it is said when it is pulled.
      if (isStatus(error, 400, 404)) return null;
      throw error;
    }
  }

  /** The id, not the name, goes on: a tag that moves meanwhile changes nothing. */
  #ready(name: string, image: InspectedImage, cached: boolean): ImageResult {
    if (image.Architecture !== "" && image.Architecture !== this.#arch && !isEmulated(image.Architecture)) {
      const why = `The image ${name} is made for ${image.Architecture}; this worker is ${this.#arch}.`;
      return { ok: false, fault: fault("image-arch", why) };
    }
    this.#notes.touch(image.Id);
    const reference = referenceOf(name, image.RepoDigests ?? []);
    if (reference === undefined) return { ok: true, image: image.Id, digest: image.Id, cached };
    return { ok: true, image: image.Id, digest: reference.split("@")[1]!, reference, cached };
  }
}

function nameOf(request: ImageRequest): string {
  return request.kind === "ready" ? request.image : request.tag;
}

/** Under the name that was asked for: another registry may know the same image, but not give it to this worker. */
function referenceOf(name: string, digests: readonly string[]): string | undefined {
  const repository = familiarName(repositoryOf(name));
  return digests.find((reference) => repositoryOf(reference) === repository) ?? digests[0];
}

function notToBePulled(image: string): Fault {
  const message = `The image ${image} is not on this worker, and "pull: never" says that it is not to be pulled.`;
  return fault("image-not-found", message, { advice: "Put it there (docker pull, docker load), or leave pull out." });
}

/** Whether the kernel hands programs of this architecture to an emulator. */
function isEmulated(arch: string): boolean {
  const names: Record<string, string> = { amd64: "x86_64", arm64: "aarch64" };
  return existsSync(`/proc/sys/fs/binfmt_misc/qemu-${names[arch] ?? arch}`);
}
