import { BerthError } from "../../protocol/errors.ts";
import { sealBox } from "../../protocol/sealed-box.ts";
import type { StepSecretValues } from "../../protocol/secrets.ts";
import { isTerminal, STEP_TRANSITIONS, type StepState } from "../../protocol/states.ts";
import type { Services } from "../services.ts";
import { recordAudit } from "../store/audit.ts";
import type { Queryable } from "../store/database.ts";
import { type LeaseHolder, requireLease, staleEpoch } from "../store/leases.ts";
import { insertAccesses, type SealedValue, sealedValues, secretsOfRun } from "../store/secrets.ts";
import { openValues } from "./secret-place.ts";

/** The attempt that asks, and the key that only it has. */
export interface SecretsWanted {
  readonly stepRun: string;
  readonly attempt: number;
  /** For the build of its environment, in place of its own. */
  readonly build: boolean;
  readonly recipient: Buffer;
}

/**
 * Gives an attempt the values that the plan of its run names for its step, sealed to the key that it sent. Only the worker
 * that holds the run now gets any, and each value is written down as given before it leaves.
 */
export async function giveSecrets(
  { database, sealer }: Pick<Services, "database" | "sealer">,
  holder: LeaseHolder,
  { stepRun, attempt, build, recipient }: SecretsWanted,
): Promise<Buffer> {
  const { project, run, epoch, worker } = holder;
  const given = await database.transaction(async (client) => {
    const { state } = await requireLease(client, holder);
    // The grace in which the holder of an ended run may still report is not for this.
    if (state !== "running" && state !== "cancelling") throw staleEpoch(holder);
    const { pipeline, names } = await namesFor(client, holder, { stepRun, build });
    const stored =
      names.length === 0 ? [] : (await sealedValues(client, project, names)).filter(({ current }) => current);
    const values = names.map((name) => allowed(stored, name, pipeline));
    const { opened, unreadable } = await openValues(sealer, project, values);
    if (unreadable[0] !== undefined) throw doesNotOpen(unreadable[0].name);
    await insertAccesses(client, { project, run, epoch, stepRun, attempt, worker }, values);
    // One event for each, so that the log answers who had a certain secret; and one where there was nothing to give.
    for (const { name, version } of values.length > 0 ? values : [{ name: "-", version: null }]) {
      const details = { version, run, epoch, stepRun, attempt, ...(build && { build }) };
      await recordAudit(client, { project, action: "secret.access", subject: name, details });
    }
    return [...opened];
  });
  const plaintext: StepSecretValues = {
    values: Object.fromEntries(given.map(([{ name }, value]) => [name, value.toString("base64")])),
  };
  return sealTo(recipient, Buffer.from(JSON.stringify(plaintext)), { run, epoch, stepRun, attempt });
}

/**
 * What the plan names. The step run of a batch item may not be known to the server yet, for its agent goes on while the
 * server is away; but the key of a step run begins with its step, up to a bracket that no step's name can hold.
 */
async function namesFor(
  client: Queryable,
  { project, run }: LeaseHolder,
  { stepRun, build }: Pick<SecretsWanted, "stepRun" | "build">,
): Promise<{ pipeline: string; names: string[] }> {
  const { rows } = await client.query<{ state: StepState }>(
    "SELECT state FROM step_runs WHERE run_id = $1 AND key = $2",
    [run, stepRun],
  );
  if (rows[0] !== undefined && isTerminal(STEP_TRANSITIONS, rows[0].state)) {
    throw new BerthError("conflict", `${stepRun} has ended: it gets no secrets any more.`);
  }
  const plan = (await secretsOfRun(client, project, run))!;
  const step = stepRun.split("[", 1)[0]!;
  if (!Object.hasOwn(plan.steps, step)) {
    throw new BerthError("not_found", `The plan of ${run} has no step ${step}.`);
  }
  return { pipeline: plan.pipeline, names: [...new Set((build ? plan.builds : plan.steps)[step])] };
}

function allowed(stored: readonly SealedValue[], name: string, pipeline: string): SealedValue {
  const value = stored.find((one) => one.name === name);
  if (value !== undefined && isAllowed(value, pipeline)) return value;
  throw new BerthError("secret_unavailable", unavailable(name, value, pipeline), {
    advice: howToAllow(name, value, pipeline),
    details: { secret: name },
  });
}

function doesNotOpen(name: string): BerthError {
  return new BerthError("secret_unavailable", `The secret ${name} does not open with the keys of this server.`, {
    advice: `Put the key back under which it is encrypted, or set it again: berth secret set ${name}`,
    details: { secret: name },
  });
}

export function isAllowed({ pipelines }: { readonly pipelines: readonly string[] | null }, pipeline: string): boolean {
  return pipelines === null || pipelines.includes(pipeline);
}

/** Why a pipeline does not get a secret: it is not there, or is for others. */
export function unavailable(name: string, known: object | undefined, pipeline: string): string {
  return known === undefined
    ? `There is no secret ${name}.`
    : `The secret ${name} is not for the pipeline ${pipeline}.`;
}

export function howToAllow(name: string, known: object | undefined, pipeline: string): string {
  return known === undefined ? `Set it: berth secret set ${name}` : `Allow it: berth secret allow ${name} ${pipeline}`;
}

/** Throws where the recipient is none. */
export function sealTo(recipient: Buffer, plaintext: Buffer, purpose: Parameters<typeof sealBox>[2]): Buffer {
  try {
    return sealBox(recipient, plaintext, purpose);
  } catch (error) {
    throw new BerthError("invalid_request", "The recipient is not an X25519 public key.", { cause: error });
  }
}
