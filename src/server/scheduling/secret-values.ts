import type { MaskText } from "../../protocol/mask-events.ts";
import { SecretMasker } from "../../std/secret-masker.ts";
import type { Services } from "../services.ts";
import { sealedValues, secretsOfRun } from "../store/secrets.ts";
import { openValues } from "./secret-place.ts";

/** A run asks often, for all that it reports; what was changed is masked a moment later. */
const KEPT_MS = 30_000;
/** Runs that are remembered; more than report at once to one server. */
const RUNS_MAX = 1_000;

interface Kept {
  readonly until: number;
  readonly values: Promise<readonly Buffer[]>;
  readonly mask: Promise<MaskText>;
}

/** The values that steps and builds of a run may have been given, also previous ones that are kept: what is masked in what it says. */
export class SecretValues {
  readonly #services: Pick<Services, "database" | "sealer" | "log">;
  readonly #kept = new Map<string, Kept>();

  constructor(services: Pick<Services, "database" | "sealer" | "log">) {
    this.#services = services;
  }

  /** Empty for a run that names no secrets. */
  secretValuesFor(project: string, run: string): Promise<readonly Buffer[]> {
    return this.#keptFor(project, run).values;
  }

  /** What takes these values out of text. */
  maskFor(project: string, run: string): Promise<MaskText> {
    return this.#keptFor(project, run).mask;
  }

  #keptFor(project: string, run: string): Kept {
    const key = `${project} ${run}`;
    const now = Date.now();
    const known = this.#kept.get(key);
    if (known !== undefined && known.until > now) return known;
    const values = this.#read(project, run);
    const mask = values.then((all) => maskOf(all));
    const kept = { until: now + KEPT_MS, values, mask };
    this.#kept.delete(key);
    if (this.#kept.size >= RUNS_MAX) this.#kept.delete(this.#kept.keys().next().value!);
    this.#kept.set(key, kept);
    // What failed is asked for again.
    mask.catch(() => this.#kept.delete(key));
    return kept;
  }

  async #read(project: string, run: string): Promise<readonly Buffer[]> {
    const { database, sealer, log } = this.#services;
    const plan = await secretsOfRun(database.pool, project, run);
    const names = [...new Set([plan?.steps ?? {}, plan?.builds ?? {}].flatMap((named) => Object.values(named).flat()))];
    if (names.length === 0) return [];
    const stored = await sealedValues(database.pool, project, names);
    const { opened, unreadable } = await openValues(sealer, project, stored);
    // What no server opens any more is given to nobody: it must not keep what the run says from being taken.
    for (const { name, version } of unreadable) {
      log.warn({ project, secret: name, version }, "a secret cannot be read: it is not masked in what agents report");
    }
    return [...opened.values()];
  }
}

function maskOf(values: readonly Buffer[]): MaskText {
  const masker = new SecretMasker(values);
  return (text, cut) => masker.text(text, cut);
}
