import { BerthError } from "../../protocol/errors.ts";
import { loginsFor, type RegistryLogins } from "../../protocol/registries.ts";
import { registryOf } from "../../std/image-repository.ts";
import type { Services } from "../services.ts";
import { recordAudit } from "../store/audit.ts";
import { type LeaseHolder, requireLease, staleEpoch } from "../store/leases.ts";
import { environmentOfRun, listRegistries, registrySecret } from "../store/registries.ts";
import { insertAccesses, sealedValues } from "../store/secrets.ts";
import { isAllowed, sealTo } from "./give-secrets.ts";
import { openValues } from "./secret-place.ts";

/**
 * Gives the worker that holds a run what it needs to pull the images of one environment of its plan, sealed to the key that
 * it sent. Each login that is given is written down before it leaves.
 */
export async function giveRegistries(
  { database, sealer }: Pick<Services, "database" | "sealer">,
  holder: LeaseHolder,
  { environment, recipient }: { readonly environment: string; readonly recipient: Buffer },
): Promise<Buffer> {
  const { project, run, epoch, worker } = holder;
  const purpose = { run, epoch, ...loginsFor(environment) };
  const logins = await database.transaction(async (client): Promise<RegistryLogins> => {
    const { state } = await requireLease(client, holder);
    if (state !== "running" && state !== "cancelling") throw staleEpoch(holder);
    const known = await environmentOfRun(client, { project, run, environment });
    if (known === null) throw new BerthError("not_found", `The plan of ${run} has no environment ${environment}.`);
    const wanted = (await listRegistries(client, project)).filter(
      (registry) =>
        isAllowed(registry, known.pipeline) && (known.image === null || registryOf(known.image) === registry.host),
    );
    const names = wanted.map(({ host }) => registrySecret(host));
    const stored = names.length === 0 ? [] : await sealedValues(client, project, names);
    const values = stored.filter(({ current }) => current);
    const { opened, unreadable } = await openValues(sealer, project, values);
    const lost = wanted.find(({ host }) => unreadable.some(({ name }) => name === registrySecret(host)));
    if (lost !== undefined) throw doesNotOpen(lost.host);
    await insertAccesses(client, { project, worker, ...purpose }, values);
    // As for secrets of steps: one event for each, and one where there was nothing to give.
    for (const { name, version } of values.length > 0 ? values : [{ name: "-", version: null }]) {
      await recordAudit(client, { project, action: "secret.access", subject: name, details: { version, ...purpose } });
    }
    return wanted.flatMap(({ host, username }) => {
      const password = [...opened].find(([{ name }]) => name === registrySecret(host))?.[1];
      return password === undefined ? [] : [{ host, username, password: password.toString("base64") }];
    });
  });
  return sealTo(recipient, Buffer.from(JSON.stringify(logins)), purpose);
}

function doesNotOpen(host: string): BerthError {
  const message = `The password of the login for ${host} does not open with the keys of this server.`;
  const advice = `Put the key back under which it is encrypted, or set the login again: berth registry set ${host} --username NAME`;
  return new BerthError("secret_unavailable", message, { advice, details: { registry: host } });
}
