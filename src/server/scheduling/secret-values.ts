import type { Services } from "../services.ts";
import { sealedValues, secretsOfRun } from "../store/secrets.ts";
import { openValues } from "./secret-place.ts";

/** A run asks often, for every line that it logs; what was changed is masked a moment later. */
const KEPT_MS = 30_000;
/** Runs that are remembered; more than report at once to one server. */
const RUNS_MAX = 1_000;

interface Kept {
  readonly until: number;
  readonly values: Promise<readonly Buffer[]>;
}

/** The values that steps of a run may have been given, also previous ones that are kept: what is masked in what it says. */
export class SecretValues {
  readonly #services: Pick<Services, "database" | "sealer">;
  readonly #kept = new Map<string, Kept>();

  constructor(services: Pick<Services, "database" | "sealer">) {
    this.#services = services;
  }

  /** Empty for a run that names no secrets. */
  secretValuesFor(project: string, run: string): Promise<readonly Buffer[]> {
    const key = `${project} ${run}`;
    const now = Date.now();
    const known = this.#kept.get(key);
    if (known !== undefined && known.until > now) return known.values;
    const values = this.#read(project, run);
    this.#kept.delete(key);
    if (this.#kept.size >= RUNS_MAX) this.#kept.delete(this.#kept.keys().next().value!);
    this.#kept.set(key, { until: now + KEPT_MS, values });
    // What failed is asked for again.
    values.catch(() => this.#kept.delete(key));
    return values;
  }

  async #read(project: string, run: string): Promise<readonly Buffer[]> {
    const { database, sealer } = this.#services;
    const plan = await secretsOfRun(database.pool, project, run);
    const names = [...new Set(Object.values(plan?.steps ?? {}).flat())];
    if (names.length === 0) return [];
    const stored = await sealedValues(database.pool, project, names);
    // What no server opens any more is given to nobody: it must not keep what the run says from being taken.
    return [...(await openValues(sealer, project, stored)).opened.values()];
  }
}
