import { BerthError } from "../../protocol/errors.ts";
import type { RekeyResponse } from "../../protocol/secrets.ts";
import type { Services } from "../services.ts";
import { recordAudit } from "../store/audit.ts";
import { lockSecrets, makeKey, projectsUnderOtherKeys, removeUnusedKeys } from "../store/project-keys.ts";
import { resealVersion, sealedValues } from "../store/secrets.ts";
import { resealTriggers } from "../store/triggers.ts";
import { openValues, secretPlace } from "./secret-place.ts";

/**
 * Encrypts all secrets of a project anew: its values under a new key of the project, that key and the secrets of triggers
 * under the newest key of the installation. All or nothing; steps get their values meanwhile.
 */
export async function rekey(
  { database, sealer }: Pick<Services, "database" | "sealer">,
  project: string,
): Promise<RekeyResponse> {
  const { newest } = sealer;
  if (newest === null) throw new BerthError("conflict", "This server has no key to keep secrets with.");
  const done = await database.transaction(async (client) => {
    await lockSecrets(client, project);
    const stored = await sealedValues(client, project, null);
    const key = await makeKey(client, sealer, project);
    const { opened, unreadable } = await openValues(sealer, project, stored);
    if (unreadable.length > 0) throw doNotOpen(unreadable.map(({ name }) => name));
    for (const [value, plaintext] of opened) {
      const place = secretPlace(project, value.secret, value.version);
      const sealed = key.sealer.seal(place, plaintext);
      await resealVersion(client, value, { keyVersion: key.version, sealed });
    }
    await removeUnusedKeys(client, project);
    const resealed = { values: stored.length, triggers: await resealTriggers(client, sealer, project) };
    await recordAudit(client, { project, action: "secret.rekey", subject: newest, details: resealed });
    return resealed;
  });
  return { key: newest, ...done, projectsLeft: await projectsUnderOtherKeys(database.pool, newest) };
}

function doNotOpen(names: readonly string[]): BerthError {
  const secrets = [...new Set(names)];
  return new BerthError(
    "secret_unreadable",
    `These secrets of the project do not open with the keys of this server: ${secrets.join(", ")}.`,
    {
      advice:
        "Nothing was changed. Put the key back under which they are encrypted; if it is lost for good, " +
        "set each of them again (`berth secret set`), or remove it.",
      details: { secrets },
    },
  );
}
