import { createHash, createPublicKey, verify } from "node:crypto";
import { type AuditCheckpoint, type AuditEvent, AuditHead } from "./audit.ts";
import { canonicalJson } from "./canonical-json.ts";
import { keyIdOf, signedBytes } from "./provenance.ts";

/** The chain of the audit log, checked by whoever reads it: the server's word is not needed. */

export const HEAD_TYPE = "application/vnd.berth.audit-head+json";
export const NO_HASH = "0".repeat(64);

/** SHA-256 of the canonical JSON of an event with the hash of the one before it. */
export function hashOfEvent({ at, chain, event, previous, sequence }: Omit<AuditEvent, "hash">): string {
  return createHash("sha256").update(canonicalJson({ at, chain, event, previous, sequence })).digest("hex");
}

/** A place in a chain, and the hash of what is there. */
export type Link = Pick<AuditHead, "sequence" | "hash">;

export interface BrokenLink {
  /** Of the first event that is not as it was written. */
  readonly sequence: number;
  readonly why: string;
}

/**
 * Follows a chain, given its events in order. What it says is broken is the first place that is: after that nothing is
 * known.
 */
export class ChainWalk {
  #last: Link = { sequence: 0, hash: NO_HASH };
  #broken: BrokenLink | null = null;
  readonly #expected: readonly Link[];

  /** `expected`: what the server says the newest event is, and links that somebody kept: they have to be there. */
  constructor(expected: readonly Link[] = []) {
    this.#expected = expected;
  }

  get last(): Link {
    return this.#last;
  }

  /** False once something is broken. */
  take(event: AuditEvent): boolean {
    this.#broken ??= this.#problemOf(event);
    if (this.#broken !== null) return false;
    this.#last = { sequence: event.sequence, hash: event.hash };
    return true;
  }

  /** After the last event: what is broken, if anything. */
  end(): BrokenLink | null {
    if (this.#broken !== null) return this.#broken;
    const { sequence } = this.#last;
    const kept = this.#expected.map((link) => link.sequence).filter((known) => known > sequence);
    if (kept.length > 0) {
      return {
        sequence: sequence + 1,
        why: `it is gone, with all after it: there was event ${Math.max(...kept)} once`,
      };
    }
    return null;
  }

  #problemOf(event: AuditEvent): BrokenLink | null {
    const sequence = this.#last.sequence + 1;
    if (event.sequence > sequence) return { sequence, why: `it is not there; the next is ${event.sequence}` };
    if (event.sequence < sequence) return { sequence: event.sequence, why: "it is there twice" };
    if (event.previous !== this.#last.hash) {
      return { sequence, why: "it does not follow the event before it: it, or that one, was put in another's place" };
    }
    if (event.hash !== hashOfEvent(event)) return { sequence, why: "it was changed: its hash is another" };
    if (this.#expected.every((link) => link.sequence !== sequence || link.hash === event.hash)) return null;
    return {
      sequence,
      why: "it is not the event that was there when its hash was kept: the log was made anew",
    };
  }
}

/** The head that a checkpoint says, once one of the keys (PEM) has been found to have signed it. */
export function readCheckpoint(
  { payload, payloadType, signatures }: AuditCheckpoint,
  publicKeys: readonly string[],
): { readonly ok: true; readonly head: AuditHead } | { readonly ok: false; readonly why: string } {
  const body = Buffer.from(payload, "base64");
  const signed = signedBytes(payloadType, body);
  const keys = new Map(publicKeys.map((pem) => createPublicKey(pem)).map((key) => [keyIdOf(key), key]));
  const isValid = signatures.some(({ keyid, sig }) => {
    const key = keys.get(keyid);
    return key?.asymmetricKeyType === "ed25519" && verify(null, signed, key, Buffer.from(sig, "base64"));
  });
  if (!isValid) return { ok: false, why: "none of the known keys signed it" };
  const head = AuditHead.safeParse(JSON.parse(body.toString("utf8")));
  return head.success ? { ok: true, head: head.data } : { ok: false, why: "what is signed is no head of an audit log" };
}
