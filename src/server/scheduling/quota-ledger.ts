import { BerthError } from "../../protocol/errors.ts";
import { formatSize } from "../../std/format-size.ts";
import type { Database } from "../store/database.ts";
import { listQuotas, type QuotaRow, usedBytes } from "../store/quotas.ts";
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
  /** Of blobs that are to be stored. */
  readonly blobBytes: number;
  /** That refers to them, or to others; left out where it is not known yet. */
  readonly artifact?: { readonly pipeline: string; readonly name: string; readonly bytes: number };
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
  async admit({ project, blobBytes, artifact }: Admission): Promise<void> {
    const { accounts } = await this.#of(project);
    const concerned = [...accounts.values()].filter(
      ({ quota }) => quota.pipeline === null || quota.pipeline === artifact?.pipeline,
    );
    const bytesFor = ({ quota }: Account) => (quota.pipeline === null ? blobBytes : artifact!.bytes);
    for (const account of concerned) {
      const { maxArtifactBytes, maxBytes } = account.quota;
      if (artifact !== undefined && maxArtifactBytes !== null && artifact.bytes > maxArtifactBytes) {
        throw tooLarge(account.quota, artifact.bytes, artifact.name);
      }
      const bytes = bytesFor(account);
      if (maxBytes === null || (await this.#hasRoom(project, account, maxBytes, bytes))) continue;
      throw await this.#exceeded(project, account, bytes);
    }
    for (const account of concerned) account.used += bytesFor(account);
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
      });
    }
    const read = { readAt: performance.now(), accounts };
    this.#known.set(project, read);
    return read;
  }

  async #hasRoom(project: string, account: Account, maxBytes: number, bytes: number): Promise<boolean> {
    if (account.used + bytes <= maxBytes) return true;
    if (performance.now() - account.countedAt < COUNTED_AGAIN_MS) return false;
    account.used = await usedBytes(this.#database.pool, project, account.quota.pipeline);
    account.countedAt = performance.now();
    return account.used + bytes <= maxBytes;
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
