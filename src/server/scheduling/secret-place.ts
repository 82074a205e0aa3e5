import type { Sealer } from "../sealer.ts";
import { opened } from "../store/project-keys.ts";
import type { SealedValue } from "../store/secrets.ts";

/** What a value is bound to: at any other place it does not open. */
export function secretPlace(project: string, secret: string, version: number): string {
  return `projects/${project}/secrets/${secret}/${version}`;
}

/** The value itself. Throws where it, or its key, was changed, moved, or is sealed under a key that this server lacks. */
export function openValue(sealer: Sealer, project: string, value: SealedValue): Buffer {
  const { secret, version, keyVersion, sealed, sealedKey } = value;
  const key = opened(sealer, project, { version: keyVersion, sealed: sealedKey });
  return key.sealer.open(secretPlace(project, secret, version), sealed);
}
