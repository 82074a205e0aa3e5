import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import type { BackendSession, Capabilities } from "../backends/execution-backend.ts";
import type { ImageRequest, ImageResult } from "../backends/image-request.ts";
import type { FixedImage } from "../protocol/events.ts";
import { type Fault, fault } from "../protocol/faults.ts";
import { maskFault } from "../protocol/mask-events.ts";
import type { Plan, SourceRef } from "../protocol/plan.ts";
import { exactImage } from "../runtime/exact-image.ts";
import { faultOfError } from "../runtime/fault-of-error.ts";
import { imageRequest } from "../runtime/image-request.ts";
import { retryBackend } from "../runtime/retry-backend.ts";
import { deadline } from "../runtime/run-deadline.ts";
import { SourceRefusedError, unpackSource } from "../runtime/unpack-source.ts";
import { BuildLog } from "./build-log.ts";
import { durably } from "./durably.ts";
import type { KnownSecrets } from "./known-secrets.ts";
import { type RegistryLoginsOptions, withLogins } from "./registry-logins.ts";
import type { RunHistory } from "./run-history.ts";
import type { RunLink } from "./run-link.ts";
import type { ImageScans } from "./scan/image-scans.ts";
import type { StepSecrets } from "./step-secrets.ts";

/** An environment on this worker: `image` is null where steps run without images. */
export type PreparedImage =
  | {
      readonly ok: true;
      readonly image: string | null;
      /** What the image is known by everywhere; its name where there is nothing better. */
      readonly digest: string | null;
      readonly source: string | null;
    }
  | { readonly ok: false; readonly fault: Fault };

export interface RunImagesOptions {
  readonly plan: Plan;
  readonly source: SourceRef | null;
  /** The run's folder on this worker. */
  readonly folder: string;
  readonly session: BackendSession;
  readonly registries: RegistryLoginsOptions;
  readonly capabilities: Capabilities;
  /** The very images to use, by environment: those that the run began with, on whichever worker. */
  readonly fixed: Readonly<Record<string, FixedImage>>;
  /** Where the log of an environment's build is shown. */
  readonly shownAt: (environment: string) => { readonly stepRun: string; readonly attempt: number };
  readonly history: RunHistory;
  /** The values of a build. */
  readonly buildSecrets: Pick<StepSecrets, "forBuild">;
  readonly scans: Pick<ImageScans, "refusal">;
  readonly secrets: KnownSecrets;
  readonly link: RunLink;
  /** What ends the work on an environment, or, for null, on the source that all share. */
  readonly stopOf: (environment: string | null) => AbortSignal;
  readonly log: Logger;
}

/** Of one image whose registry or engine did not answer. */
const TRIES_MAX = 3;
/** Between them; doubles each time. */
const FIRST_RETRY_MS = 2_000;

interface Pending {
  readonly startedAt: number;
  readonly image: Promise<PreparedImage>;
}

/** The images of one run: each environment is prepared once, as soon as the run is taken. */
export class RunImages {
  readonly #options: RunImagesOptions;
  readonly #settled = new Map<string, PreparedImage>();
  readonly #pending = new Map<string, Pending>();
  #unpacked: Promise<string | null> | null = null;

  constructor(options: RunImagesOptions) {
    this.#options = options;
  }

  /** What became of an environment, or is going to; never rejects. A step waits for it no longer than its own limit. */
  prepare(environment: string, limitMs: number | null = null): PreparedImage | Promise<PreparedImage> {
    const settled = this.#settled.get(environment);
    if (settled !== undefined) return settled;
    const { startedAt, image } = this.#pending.get(environment) ?? this.#begin(environment);
    if (limitMs === null) return image;
    const leftMs = startedAt + limitMs - performance.now();
    return leftMs > 0 ? within(image, leftMs, tooLate(limitMs)) : tooLate(limitMs);
  }

  #begin(environment: string): Pending {
    const startedAt = performance.now();
    const image = this.#prepare(environment)
      .catch((error: unknown): PreparedImage => ({ ok: false, fault: this.#faultOf(error, environment) }))
      .then((made) => {
        const prepared = made.ok ? made : { ...made, fault: maskFault(made.fault, this.#options.secrets.mask) };
        this.#settled.set(environment, prepared);
        this.#pending.delete(environment);
        return prepared;
      });
    const pending = { startedAt, image };
    this.#pending.set(environment, pending);
    return pending;
  }

  async #prepare(environment: string): Promise<PreparedImage> {
    const { plan, folder, capabilities, secrets, buildSecrets, shownAt } = this.#options;
    const startedAtMs = performance.now();
    const stop = this.#options.stopOf(environment);
    const source = await this.#unpack();
    const file = join(folder, "build", `${environment}.log`);
    const buildLog = new BuildLog(file, shownAt(environment), secrets);
    this.#options.link.shipper.follow(buildLog, this.#loggedUpTo(buildLog));
    const late = new AbortController();
    const limitMs = this.#longestLimit(environment);
    using _limit = limitMs === null ? null : deadline(limitMs, () => late.abort());
    try {
      const signal = AbortSignal.any([stop, late.signal]);
      const need = await imageRequest({
        secretsFor: (named) => buildSecrets.forBuild(named, shownAt(environment), signal),
        pipeline: plan.name,
        environment: plan.environments[environment]!,
        source,
        contexts: join(folder, "contexts"),
        capabilities,
      });
      if (!need.ok) return need;
      buildLog.beginWith(need.warnings);
      if (need.request === null) return { ok: true, image: null, digest: null, source };
      const result = await this.#imageFor(environment, need.request, buildLog, signal);
      if (!result.ok) return result;
      const refusal = await this.#options.scans.refusal(result.image, (chunk) => buildLog.append(chunk), signal);
      if (refusal !== null) return { ok: false, fault: refusal };
      await this.#report(environment, result, performance.now() - startedAtMs);
      return { ok: true, image: result.image, digest: result.digest ?? result.image, source };
    } catch (error) {
      if (late.signal.aborted && !stop.aborted) return tooLate(limitMs!);
      throw error;
    } finally {
      buildLog.end();
      // Its end is waited for with all other logs when the run ends.
      this.#options.link.shipper.end(buildLog).catch(() => {});
    }
  }

  /** As the plan says; from then on, and of a restart from the beginning, the very image that it was first. */
  async #imageFor(
    environment: string,
    request: ImageRequest,
    buildLog: BuildLog,
    signal: AbortSignal,
  ): Promise<ImageResult> {
    const { plan, fixed } = this.#options;
    const session = withLogins(this.#options.session, environment, this.#options.registries);
    const onLog = (chunk: Uint8Array) => buildLog.append(chunk);
    const asPlanned = () => session.prepareImage(request, onLog, signal);
    const image = fixed[environment];
    if (image === undefined) return this.#tryPatiently(asPlanned, buildLog, signal);
    const wanted = { environment: plan.environments[environment]!, image };
    const exact = await this.#tryPatiently(() => exactImage(session, wanted, onLog, signal), buildLog, signal);
    if (exact.ok || exact.fault.code !== "image-not-found") return exact;
    if (request.kind === "ready") return { ok: false, fault: vanished(request.image, image, exact.fault) };
    buildLog.append(Buffer.from(`${exact.fault.message} It is built from the same recipe.\n`));
    return this.#tryPatiently(asPlanned, buildLog, signal);
  }

  async #tryPatiently(
    prepare: () => Promise<ImageResult>,
    buildLog: BuildLog,
    signal: AbortSignal,
  ): Promise<ImageResult> {
    for (let tries = 1; ; tries++) {
      const result = await retryBackend(prepare, signal);
      if (result.ok || result.fault.class !== "infrastructure" || tries === TRIES_MAX) return result;
      buildLog.append(Buffer.from(`${result.fault.message} Trying again.\n`));
      await sleep(FIRST_RETRY_MS * 2 ** (tries - 1), undefined, { signal });
    }
  }

  /** When no step waits for it any more; null is never. */
  #longestLimit(environment: string): number | null {
    const steps = this.#options.plan.steps.filter((step) => step.environment === environment);
    const limits = steps.map(({ resources }) => resources.imageTimeoutMs ?? Number.POSITIVE_INFINITY);
    const longest = Math.max(...limits);
    return Number.isFinite(longest) ? longest : null;
  }

  async #report(
    environment: string,
    { image, digest, reference, cached }: Extract<ImageResult, { ok: true }>,
    durationMs: number,
  ): Promise<void> {
    const { history, link, log } = this.#options;
    if (history.images.get(environment)?.id === image) return;
    const known = { image, digest, ...(reference !== undefined && { reference }) };
    const ready = { type: "image.ready", environment, ...known, cached, durationMs } as const;
    await durably(() => link.outbox.report(ready), { signal: link.signal, log });
  }

  /** The source, once for all environments. */
  #unpack(): Promise<string | null> {
    this.#unpacked ??= this.#unpackOnce();
    return this.#unpacked;
  }

  async #unpackOnce(): Promise<string | null> {
    const { source, folder, link } = this.#options;
    const stop = this.#options.stopOf(null);
    if (source === null) return null;
    const archive = await link.source.ensure(source.digest, source.size, stop);
    return unpackSource(archive, join(folder, "source"), { signal: stop });
  }

  #loggedUpTo({ stepRun, attempt, stream }: BuildLog): number {
    return this.#options.history.logOffset(stepRun, attempt, stream);
  }

  #faultOf(error: unknown, environment: string): Fault {
    if (this.#options.stopOf(environment).aborted)
      return fault("cancelled", "The run was stopped while its images were made ready.");
    if (error instanceof SourceRefusedError) return error.fault;
    return faultOfError(error, "preparing the environment");
  }
}

function vanished(name: string, { id, reference = id }: FixedImage, why: Fault): Fault {
  const message = `The run is fixed on the image ${reference}, which ${name} was when it began. ${why.message}`;
  const advice = `Push that image again, or take what ${name} stands for now: restart with --with-latest.`;
  return { ...why, ...fault(why.code, message, { advice }) };
}

function tooLate(limitMs: number): PreparedImage {
  return { ok: false, fault: fault("deadline-image", `The image was not ready within ${limitMs / 1000} s.`) };
}

async function within(image: Promise<PreparedImage>, ms: number, otherwise: PreparedImage): Promise<PreparedImage> {
  const late = Promise.withResolvers<PreparedImage>();
  using _limit = deadline(ms, () => late.resolve(otherwise));
  return await Promise.race([image, late.promise]);
}
