import type { RegisterRequest } from "../../protocol/agent-api.ts";
import { BerthError } from "../../protocol/errors.ts";
import { newId } from "../../protocol/ids.ts";
import { unusableRegistrationToken } from "../http/authenticate.ts";
import { recordAudit } from "../store/audit.ts";
import type { Database } from "../store/database.ts";
import { setRegistrationTokenWorker, useRegistrationToken } from "../store/registration-tokens.ts";
import { insertWorker } from "../store/workers.ts";

export interface RegisteredWorker {
  readonly id: string;
  readonly project: string;
  readonly pool: string;
  readonly labels: readonly string[];
}

/**
 * Uses a registration token up for one worker, in one transaction: a worker that cannot be registered costs no token,
 * and of any number of requests with one token exactly one succeeds.
 */
export async function registerWorker(
  database: Database,
  tokenHash: Buffer,
  request: RegisterRequest,
): Promise<RegisteredWorker> {
  return await database.transaction(async (client) => {
    const token = await useRegistrationToken(client, tokenHash);
    if (token === null) throw unusableRegistrationToken();
    const worker = { id: newId("worker"), project: token.project, pool: token.pool, labels: token.labels };
    if (!(await insertWorker(client, { ...request, ...worker }))) {
      throw new BerthError(
        "conflict",
        `A worker with the name ${request.name}, or with this key, is registered already.`,
        {
          advice: "Register under another name; the token is still good.",
        },
      );
    }
    await setRegistrationTokenWorker(client, token.id, worker.id);
    const { id, project, pool, labels } = worker;
    const details = {
      id,
      pool,
      labels: [...labels],
      type: request.type,
      publicKey: request.publicKey,
      token: token.id,
    };
    await recordAudit(client, { project, action: "worker.register", subject: request.name, details });
    return worker;
  });
}
