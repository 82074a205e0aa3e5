import { BerthError } from "../../protocol/errors.ts";
import { formatSize } from "../../std/format-size.ts";
import type { Database } from "../store/database.ts";
import { heldOf, listQuotas, type QuotaRow, usedBytes } from "../store/quotas.ts";
import { usageOfPipelines } from "../store/usage.ts";

/** What other servers let in meanwhile is not seen for this long: a quota may be passed by that much. */
const BELIEVED_MS = 10_000;
/** To count is work: whoever is refused again and again is not counted for each time. */
const COUNTED_AGAIN_MS = 2_000;
const PIPELINES_NAMED = 3;

interface Account {
  readonly quota: QuotaRow;
  /** As counted, with what was let in since. */
  used: number;
  /** What that is: what is sent, or reported, once more counts once. */
  readonly letIn: Set<string>;
  countedAt: number;
}

interface Known {
  readonly readAt: number;
  /** By pipeline; null is the project. */
  readonly accounts: ReadonlyMap<string | null, Account>;
}

/** Something that is to be stored. */
export interface Admission {
  readonly project: string;
  /** Sizes of the blobs that are to be stored, by digest; those that are there take no more room. */
  readonly blobs: ReadonlyMap<string, number>;
  /** That refers to them, or to others; left out where it is not known yet. The key tells it from any other. */
  readonly artifact?: {
    readonly pipeline: string;
    readonly key: string;
    readonly name: string;
    readonly bytes: number;
  };
}

/**
 * Holds what is to be stored against the quotas of its project. What there is is counted now and then, and what was let
 * in since is added; before something is refused it is counted anew, so that what was freed counts at once.
 */
export class QuotaLedger {
  readonly #database: Database;
  readonly #known = new Map<string, Known>();

  constructor(database: Database) {
    this.#database = database;
  }

  /** Whether the project has any quota, so that whoever has much to ask need not. */
  async hasAny(project: string): Promise<boolean> {
    return (await this.#of(project)).accounts.size > 0;
  }

  /** Throws `quota_exceeded`; else what was let in counts. */
  async admit({ project, blobs, artifact }: Admission): Promise<void> {
    const { accounts } = await this.#of(project);
    const added: { readonly account: Account; readonly items: ReadonlyMap<string, number> }[] = [];
    for (const account of accounts.values()) {
      const { pipeline, maxArtifactBytes, maxBytes } = account.quota;
      if (pipeline !== null && pipeline !== artifact?.pipeline) continue;
      if (artifact !== undefined && maxArtifactBytes !== null && artifact.bytes > maxArtifactBytes) {
        throw tooLarge(account.quota, artifact.bytes, artifact.name);
      }
      if (maxBytes === null) continue;
      const wanted = pipeline === null ? blobs : new Map([[artifact!.key, artifact!.bytes]]);
      let items = await this.#newTo(account, project, wanted);
      if (!fits(account, maxBytes, items) && (await this.#countAgain(project, account))) {
        items = await this.#newTo(account, project, wanted);
      }
      if (!fits(account, maxBytes, items)) throw await this.#exceeded(project, account, sum(items));
      added.push({ account, items });
    }
    for (const { account, items } of added) {
      account.used += sum(items);
      for (const key of items.keys()) account.letIn.add(key);
    }
  }

  /** Reads the quotas of the project anew: they were changed. */
  forget(project: string): void {
    this.#known.delete(project);
  }

  async #of(project: string): Promise<Known> {
    const known = this.#known.get(project);
    if (known !== undefined && performance.now() - known.readAt < BELIEVED_MS) return known;
    const accounts = new Map<string | null, Account>();
    for (const quota of await listQuotas(this.#database.pool, project)) {
      accounts.set(quota.pipeline, {
        quota,
        used: quota.maxBytes === null ? 0 : await usedBytes(this.#database.pool, project, quota.pipeline),
        countedAt: performance.now(),
        letIn: new Set(),
      });
    }
    const read = { readAt: performance.now(), accounts };
    this.#known.set(project, read);
    return read;
  }

  /** Of what is wanted that which does not count already. */
  async #newTo(
    { quota, letIn }: Account,
    project: string,
    wanted: ReadonlyMap<string, number>,
  ): Promise<ReadonlyMap<string, number>> {
    const others = [...wanted].filter(([key]) => !letIn.has(key));
    if (quota.pipeline !== null || others.length === 0) return new Map(others);
    const keys = others.map(([digest]) => digest);
    const held = await heldOf(this.#database.pool, project, keys);
    return new Map(others.filter(([digest]) => !held.has(digest)));
  }

  /** Whether it was counted anew. */
  async #countAgain(project: string, account: Account): Promise<boolean> {
    if (performance.now() - account.countedAt < COUNTED_AGAIN_MS) return false;
    account.used = await usedBytes(this.#database.pool, project, account.quota.pipeline);
    account.letIn.clear();
    account.countedAt = performance.now();
    return true;
  }

  async #exceeded(project: string, { quota, used }: Account, bytes: number): Promise<BerthError> {
    const pipelines = (await usageOfPipelines(this.#database.pool, project)).slice(0, PIPELINES_NAMED);
    const most = pipelines.map((one) => `${one.pipeline} (${formatSize(one.bytes)})`).join(", ");
    const { pipeline, maxBytes } = quota;
    return new BerthError(
      "quota_exceeded",
      `${ownerOf(quota)} may store ${formatSize(maxBytes!)} and has ${formatSize(used)}: ${formatSize(bytes)} more do not fit.`,
      {
        advice:
          `${most === "" ? "" : `Most is used by ${most}; `}\`berth store usage\` says more. Remove versions and run ` +
          "`berth store collect`, or have an administrator of the project raise it: berth store quota set.",
        details: { pipeline, maxBytes, usedBytes: used, bytes, most: pipelines },
      },
    );
  }
}

/** Where nothing is added, nothing is refused, whatever there is. */
function fits({ used }: Account, maxBytes: number, items: ReadonlyMap<string, number>): boolean {
  const bytes = sum(items);
  return bytes === 0 || used + bytes <= maxBytes;
}

function sum(items: ReadonlyMap<string, number>): number {
  return [...items.values()].reduce((total, bytes) => total + bytes, 0);
}

function ownerOf({ pipeline }: Pick<QuotaRow, "pipeline">): string {
  return pipeline === null ? "The project" : `The pipeline ${pipeline}`;
}

function tooLarge(quota: QuotaRow, bytes: number, name: string): BerthError {
  const max = quota.maxArtifactBytes!;
  const where = quota.pipeline === null ? "the project" : `the pipeline ${quota.pipeline}`;
  return new BerthError(
    "quota_exceeded",
    `${name} has ${formatSize(bytes)}; one artifact of ${where} may have ${formatSize(max)}.`,
    {
      advice: "Write less, or have an administrator of the project raise it: berth store quota set --artifact-max.",
      details: { pipeline: quota.pipeline, maxArtifactBytes: max, bytes },
    },
  );
}
