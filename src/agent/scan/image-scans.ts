import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, type Stats, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { z } from "zod";
import { type Fault, fault } from "../../protocol/faults.ts";
import { errnoOf } from "../../std/errno.ts";
import { SingleFlight } from "../../std/single-flight.ts";
import type { WorkerPolicy } from "../policy/worker-policy.ts";
import { Finding, type ScanRules, scanRules } from "./image-scan.ts";
import { ScanError, scanWithTrivy } from "./trivy.ts";

/** A result is used again for this long: new weaknesses of an old image become known every day. */
const KEPT_MS = 24 * 60 * 60_000;
/** Findings that a fault or a log quotes; how many there are is always told. */
const QUOTED_MAX = 20;

export interface ImageScansOptions {
  /** The agent's folder; results lie in `scans/`, by the image's id and the rules. */
  readonly home: string;
  readonly policy: WorkerPolicy;
}

/** Looks into images before steps run in them, as far as the worker's policy asks for it. */
export class ImageScans {
  readonly #folder: string;
  readonly #policy: WorkerPolicy;
  readonly #rules: ScanRules;
  readonly #flights = new SingleFlight<readonly Finding[]>();

  constructor({ home, policy }: ImageScansOptions) {
    this.#folder = join(home, "scans");
    this.#policy = policy;
    this.#rules = scanRules(policy.rules);
  }

  /**
   * Why no step may run in an image, or null; what was found is told either way. An image that could not be scanned is
   * refused where one with findings would be: nobody knows what is in it.
   */
  async refusal(image: string, onLog: (chunk: Uint8Array) => void, signal: AbortSignal): Promise<Fault | null> {
    const { mode, severity } = this.#rules;
    if (mode === "off") return null;
    try {
      const findings = await this.#scan(image, signal);
      if (findings.length === 0) return null;
      const message = `The scan of the image found ${findings.length} known weaknesses of severity ${severity} or above`;
      const evidence = `${this.#quote()}\n${quoted(findings)}`;
      if (mode === "block")
        return fault("image-blocked", `${message}, which this worker's policy refuses.`, { evidence });
      onLog(Buffer.from(`${message}:\n${quoted(findings)}\n`));
      return null;
    } catch (error) {
      if (!(error instanceof ScanError)) throw error;
      const message = "The image could not be scanned for known weaknesses";
      if (mode === "block") {
        return fault("image-unscanned", `${message}, as this worker's policy asks for.`, {
          evidence: `${this.#quote()}\n${error.message}`,
        });
      }
      onLog(Buffer.from(`${message}: ${error.message}\n`));
      return null;
    }
  }

  async #scan(image: string, signal: AbortSignal): Promise<readonly Finding[]> {
    const file = this.#fileOf(image);
    const known = readKept(file);
    if (known !== null) return known;
    return this.#flights.run(
      image,
      async (shared) => {
        const findings = await scanWithTrivy(image, this.#rules, shared);
        keep(file, findings);
        return findings;
      },
      signal,
    );
  }

  /** Of these very rules: what others left out may count here. */
  #fileOf(image: string): string {
    const { severity, unfixed } = this.#rules;
    return join(this.#folder, `${image.replace(/^sha256:/, "")}.${severity}${unfixed ? "" : ".fixable"}.json`);
  }

  #quote(): string {
    return this.#policy.quote(["images", "scan"], "key");
  }
}

function quoted(findings: readonly Finding[]): string {
  const lines = findings.slice(0, QUOTED_MAX).map(({ id, severity, package: name, version, fixedIn }) => {
    const fixed = fixedIn === null ? "no fixed version is known" : `fixed in ${fixedIn}`;
    return `${severity} ${id}: ${name} ${version}, ${fixed}`;
  });
  const more = findings.length - lines.length;
  return [...lines, ...(more > 0 ? [`and ${more} more`] : [])].join("\n");
}

/** Null where there is none, or it is too old; what is damaged is as good as none. */
function readKept(file: string): readonly Finding[] | null {
  try {
    if (isOld(statSync(file))) return null;
    const read = z.array(Finding).safeParse(JSON.parse(readFileSync(file, "utf8")));
    return read.success ? read.data : null;
  } catch (error) {
    if (errnoOf(error) === "ENOENT" || error instanceof SyntaxError) return null;
    throw error;
  }
}

function isOld({ mtimeMs }: Stats): boolean {
  return mtimeMs < Date.now() - KEPT_MS;
}

/** What is too old goes with that, of whichever image. */
function keep(file: string, findings: readonly Finding[]): void {
  const folder = dirname(file);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const name of readdirSync(folder)) {
    const stats = statSync(join(folder, name), { throwIfNoEntry: false });
    if (stats !== undefined && isOld(stats)) rmSync(join(folder, name), { force: true });
  }
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, JSON.stringify(findings), { mode: 0o600 });
  renameSync(draft, file);
}
