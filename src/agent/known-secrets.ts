import type { MaskText } from "../protocol/mask-events.ts";
import { isMaskable } from "../std/secret-forms.ts";
import { SecretMasker } from "../std/secret-masker.ts";

/**
 * The secret values that something of one run may know, and the masking of all that the run says. They are in memory only:
 * whoever hands a value to a process adds it before, also when it takes over what an earlier process of the agent began.
 */
export class KnownSecrets {
  readonly #values = new Map<string, Uint8Array>();
  /** Made when it is next needed. */
  #masker: SecretMasker | null = null;

  /** What is known already changes nothing; what is too short to be masked is left out. */
  add(values: Iterable<Uint8Array>): void {
    for (const value of values) {
      const key = Buffer.from(value).toString("latin1");
      if (this.#values.has(key) || !isMaskable(value)) continue;
      this.#values.set(key, Buffer.from(value));
      this.#masker = null;
    }
  }

  get masker(): SecretMasker {
    this.#masker ??= new SecretMasker(this.#values.values());
    return this.#masker;
  }

  readonly mask: MaskText = (text, cut) => this.masker.text(text, cut);
}
