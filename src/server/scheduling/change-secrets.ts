import { BerthError } from "../../protocol/errors.ts";
import { newId } from "../../protocol/ids.ts";
import type { RotateSecretRequest, SetSecretRequest } from "../../protocol/secrets.ts";
import type { Services } from "../services.ts";
import { recordAudit } from "../store/audit.ts";
import type { Queryable } from "../store/database.ts";
import { currentKey, lockSecrets } from "../store/project-keys.ts";
import {
  deleteSecret,
  insertSecret,
  insertVersion,
  type LockedSecret,
  lockSecret,
  setAllowedPipelines,
} from "../store/secrets.ts";
import { secretPlace } from "./secret-place.ts";

type Parts = Pick<Services, "database" | "sealer">;

/** Who changes secrets of which project. */
export interface SecretKeeper {
  readonly project: string;
  readonly by: string;
}

/** Makes a secret, or replaces the value of one. */
export async function setSecret(
  { database, sealer }: Parts,
  keeper: SecretKeeper,
  request: SetSecretRequest,
): Promise<void> {
  const { project } = keeper;
  const { name, pipelines } = request;
  await database.transaction(async (client) => {
    const version = await putSecret(client, sealer, keeper, request);
    const details = pipelines === undefined ? { version } : { version, pipelines };
    await recordAudit(client, { project, action: "secret.set", subject: name, details });
  });
}

/** The same as a part of a change that is written down by whoever makes it. Returns the number of the version. */
export async function putSecret(
  client: Queryable,
  sealer: Parts["sealer"],
  keeper: SecretKeeper,
  { name, value, pipelines }: SetSecretRequest,
): Promise<number> {
  const { project, by } = keeper;
  await lockSecrets(client, project);
  const known = await lockSecret(client, project, name);
  const secret = known ?? { id: newId("secret"), name, currentVersion: 0 };
  if (known === null) await insertSecret(client, { ...secret, project, by, pipelines: pipelines ?? null });
  else if (pipelines !== undefined) await setAllowedPipelines(client, known.id, pipelines);
  return await addVersion(client, sealer, keeper, secret, { value, keepPrevious: false });
}

/** A new value for a secret that is there. */
export async function rotateSecret(
  { database, sealer }: Parts,
  keeper: SecretKeeper,
  name: string,
  request: RotateSecretRequest,
): Promise<void> {
  await database.transaction(async (client) => {
    await lockSecrets(client, keeper.project);
    const secret = await lockedOrNotFound(client, keeper.project, name);
    const version = await addVersion(client, sealer, keeper, secret, request);
    const details = { version, keepPrevious: request.keepPrevious };
    await recordAudit(client, { project: keeper.project, action: "secret.rotate", subject: name, details });
  });
}

export async function allowPipelines(
  { database }: Parts,
  { project }: SecretKeeper,
  name: string,
  pipelines: readonly string[] | null,
): Promise<void> {
  await database.transaction(async (client) => {
    await setAllowedPipelines(client, (await lockedOrNotFound(client, project, name)).id, pipelines);
    const details = { pipelines: pipelines === null ? null : [...pipelines] };
    await recordAudit(client, { project, action: "secret.allow", subject: name, details });
  });
}

/** With all its versions. That it was given to steps stays written down. */
export async function removeSecret({ database }: Parts, { project }: SecretKeeper, name: string): Promise<void> {
  await database.transaction(async (client) => {
    await deleteSecret(client, (await lockedOrNotFound(client, project, name)).id);
    await recordAudit(client, { project, action: "secret.remove", subject: name });
  });
}

/** Returns its number. */
async function addVersion(
  client: Queryable,
  sealer: Parts["sealer"],
  { project, by }: SecretKeeper,
  { id, currentVersion }: LockedSecret,
  { value, keepPrevious }: RotateSecretRequest,
): Promise<number> {
  const key = await currentKey(client, sealer, project);
  const version = currentVersion + 1;
  const sealed = key.sealer.seal(secretPlace(project, id, version), Buffer.from(value, "base64"));
  await insertVersion(client, { project, secret: id, version, keyVersion: key.version, sealed, by }, { keepPrevious });
  return version;
}

async function lockedOrNotFound(client: Queryable, project: string, name: string): Promise<LockedSecret> {
  return (await lockSecret(client, project, name)) ?? noSecret(name);
}

export function noSecret(name: string): never {
  throw new BerthError("not_found", `There is no secret ${name}.`, {
    advice: `\`berth secret ls\` lists them; make it: berth secret set ${name}`,
  });
}
