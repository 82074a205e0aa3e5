import { BerthError } from "../../protocol/errors.ts";
import type { SetRegistryRequest } from "../../protocol/registries.ts";
import type { Services } from "../services.ts";
import { recordAudit } from "../store/audit.ts";
import { registrySecret, setRegistryUser } from "../store/registries.ts";
import { deleteSecret, lockSecret } from "../store/secrets.ts";
import { putSecret, type SecretKeeper } from "./change-secrets.ts";

/** Keeps how workers log in to a registry, in place of how they did before. */
export async function setRegistry(
  { database, sealer }: Pick<Services, "database" | "sealer">,
  keeper: SecretKeeper,
  { host, username, password, pipelines }: SetRegistryRequest,
): Promise<void> {
  await database.transaction(async (client) => {
    await putSecret(client, sealer, keeper, { name: registrySecret(host), value: password, pipelines });
    await setRegistryUser(client, keeper.project, host, username);
    const details = { username, ...(pipelines !== undefined && { pipelines }) };
    await recordAudit(client, { project: keeper.project, action: "registry.set", subject: host, details });
  });
}

/** With its password. */
export async function removeRegistry(
  { database }: Pick<Services, "database">,
  project: string,
  host: string,
): Promise<void> {
  await database.transaction(async (client) => {
    const known = await lockSecret(client, project, registrySecret(host));
    if (known === null) {
      throw new BerthError("not_found", `There is no login for the registry ${host}.`, {
        advice: "`berth registry ls` lists them.",
      });
    }
    await deleteSecret(client, known.id);
    await recordAudit(client, { project, action: "registry.remove", subject: host });
  });
}
