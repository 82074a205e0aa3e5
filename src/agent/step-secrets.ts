import type { Logger } from "pino";
import { BackendError } from "../backends/execution-backend.ts";
import type { BuildSecrets } from "../backends/image-request.ts";
import type { LeaseRef } from "../protocol/agent-api.ts";
import { BerthError } from "../protocol/errors.ts";
import { fault } from "../protocol/faults.ts";
import { createBoxRecipient } from "../protocol/sealed-box.ts";
import { StepSecretValues } from "../protocol/secrets.ts";
import { AttemptFault } from "../runtime/attempt-fault.ts";
import type { AttemptWork, SecretSource } from "../runtime/attempt-work.ts";
import type { AgentClient } from "./agent-client.ts";
import type { KnownSecrets } from "./known-secrets.ts";
import { retrying } from "./retry.ts";

export interface StepSecretsOptions {
  readonly lease: LeaseRef;
  readonly client: Pick<AgentClient, "stepSecrets">;
  /** Knows them before anything else does. */
  readonly known: KnownSecrets;
  readonly log: Logger;
}

/** The secrets that the server gives the attempts of one lease: each time anew, for the key of one request. */
export class StepSecrets implements SecretSource {
  readonly #options: StepSecretsOptions;

  constructor(options: StepSecretsOptions) {
    this.#options = options;
  }

  async valuesFor({ ref, secrets = [] }: AttemptWork, signal: AbortSignal): Promise<ReadonlyMap<string, Uint8Array>> {
    const values = await this.#ask({ stepRun: ref.stepRun, attempt: ref.attempt }, signal);
    return new Map(secrets.map(({ name }) => [name, takeValue(values, name)]));
  }

  /** Those of the build that an attempt waits for: asked for once, when the builder first wants one. */
  forBuild(
    secrets: readonly { readonly name: string; readonly id: string }[],
    waiting: { readonly stepRun: string; readonly attempt: number },
    signal: AbortSignal,
  ): BuildSecrets {
    let asked: Promise<ReadonlyMap<string, Uint8Array>> | undefined;
    return {
      ids: secrets.map(({ id }) => id),
      read: async (wanted) => {
        asked ??= this.#ask({ ...waiting, build: true }, signal);
        const { name } = secrets.find(({ id }) => id === wanted)!;
        try {
          return takeValue(await asked, name);
        } catch (error) {
          asked = undefined;
          if (error instanceof AttemptFault) throw new BackendError("spec-unsupported", error.fault, { cause: error });
          throw error;
        }
      },
    };
  }

  async #ask(
    wanted: { readonly stepRun: string; readonly attempt: number; readonly build?: true },
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, Uint8Array>> {
    const { lease, client, known, log } = this.#options;
    const { run, epoch } = lease;
    const { stepRun, attempt } = wanted;
    const recipient = createBoxRecipient();
    const request = { epoch, ...wanted, recipient: recipient.publicKey.toString("base64") };
    try {
      const sealed = await retrying({ what: "asking for secrets", signal, log }, () =>
        client.stepSecrets(run, request, signal),
      );
      const opened = recipient.open(sealed, { run, epoch, stepRun, attempt });
      const { values } = StepSecretValues.parse(JSON.parse(opened.toString("utf8")));
      const taken = new Map(Object.entries(values).map(([name, value]) => [name, Buffer.from(value, "base64")]));
      known.add(taken.values());
      return taken;
    } catch (error) {
      if (!(error instanceof BerthError && error.code === "secret_unavailable")) throw error;
      const message = `The secret ${String(error.details?.secret)} is not to be had any more: it was removed, or is for other pipelines.`;
      const advice = error.advice === undefined ? {} : { advice: error.advice };
      throw new AttemptFault(fault("secret-missing", message, advice), { cause: error });
    }
  }
}

function takeValue(values: ReadonlyMap<string, Uint8Array>, name: string): Uint8Array {
  const value = values.get(name);
  if (value === undefined) throw new Error(`the server left out the secret ${name}`);
  return value;
}
