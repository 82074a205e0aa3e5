import type { Logger } from "pino";
import { BackendError, type BackendSession } from "../backends/execution-backend.ts";
import type { RegistryLogin } from "../backends/image-request.ts";
import type { LeaseRef } from "../protocol/agent-api.ts";
import { BerthError } from "../protocol/errors.ts";
import { fault } from "../protocol/faults.ts";
import { loginsFor, RegistryLogins } from "../protocol/registries.ts";
import { createBoxRecipient } from "../protocol/sealed-box.ts";
import type { AgentClient } from "./agent-client.ts";
import type { KnownSecrets } from "./known-secrets.ts";
import { retrying } from "./retry.ts";

export interface RegistryLoginsOptions {
  readonly lease: LeaseRef;
  readonly client: Pick<AgentClient, "registryLogins">;
  /** Knows the passwords before anything else does. */
  readonly known: KnownSecrets;
  readonly log: Logger;
}

/** The same session, which gets an image with the logins of its environment: asked for once, when one has to be pulled. */
export function withLogins(
  session: Pick<BackendSession, "prepareImage">,
  environment: string,
  options: RegistryLoginsOptions,
): Pick<BackendSession, "prepareImage"> {
  return {
    prepareImage: (request, onLog, signal) => {
      let asked: Promise<readonly RegistryLogin[]> | undefined;
      const logins = (aborted: AbortSignal) => {
        asked ??= askForLogins(options, environment, aborted);
        return asked;
      };
      return session.prepareImage({ ...request, logins }, onLog, signal);
    },
  };
}

/** The project's logins for the registries of an environment; never written down here. */
async function askForLogins(
  { lease: { run, epoch }, client, known, log }: RegistryLoginsOptions,
  environment: string,
  signal: AbortSignal,
): Promise<readonly RegistryLogin[]> {
  const recipient = createBoxRecipient();
  const request = { epoch, environment, recipient: recipient.publicKey.toString("base64") };
  try {
    const sealed = await retrying({ what: "asking for logins to registries", signal, log }, () =>
      client.registryLogins(run, request, signal),
    );
    const opened = recipient.open(sealed, { run, epoch, ...loginsFor(environment) });
    return RegistryLogins.parse(JSON.parse(opened.toString("utf8"))).map(({ host, username, password }) => {
      const value = Buffer.from(password, "base64");
      known.add([value]);
      return { host, username, password: value.toString("utf8") };
    });
  } catch (error) {
    if (!(error instanceof BerthError && error.code === "secret_unavailable")) throw error;
    const advice = error.advice === undefined ? {} : { advice: error.advice };
    throw new BackendError("spec-unsupported", fault("image-denied", error.message, advice), { cause: error });
  }
}
