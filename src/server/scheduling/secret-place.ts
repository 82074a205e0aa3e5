import { BerthError } from "../../protocol/errors.ts";
import type { KeyRing } from "../keys/key-ring.ts";
import { opened } from "../store/project-keys.ts";
import type { SealedValue } from "../store/secrets.ts";

/** What a value is bound to: at any other place it does not open. */
export function secretPlace(project: string, secret: string, version: number): string {
  return `projects/${project}/secrets/${secret}/${version}`;
}

/** The value itself. Throws where it, or its key, was changed, moved, or is sealed under a key that this server lacks. */
export async function openValue(ring: KeyRing, project: string, value: SealedValue): Promise<Buffer> {
  const { secret, version, keyVersion, sealed, sealedKey } = value;
  const key = await opened(ring, project, { version: keyVersion, sealed: sealedKey });
  return key.sealer.open(secretPlace(project, secret, version), sealed);
}

export interface OpenedValues<Value> {
  readonly opened: ReadonlyMap<Value, Buffer>;
  /** Those that no key of this server opens. */
  readonly unreadable: readonly Value[];
}

/** Opens what can be opened; throws where it is not known whether something can, such as while a key cannot be used. */
export async function openValues<Value extends SealedValue>(
  ring: KeyRing,
  project: string,
  values: readonly Value[],
): Promise<OpenedValues<Value>> {
  const readable = new Map<Value, Buffer>();
  const unreadable: Value[] = [];
  for (const value of values) {
    try {
      readable.set(value, await openValue(ring, project, value));
    } catch (error) {
      if (!(error instanceof BerthError && error.code === "secret_unreadable")) throw error;
      unreadable.push(value);
    }
  }
  return { opened: readable, unreadable };
}
