import type { FastifyRequest } from "fastify";
import { BerthError } from "../../protocol/errors.ts";
import { TokenBuckets } from "../../std/token-buckets.ts";
import type { Principal, Route } from "./route.ts";

/** Null of any: no limit. */
export interface RateConfig {
  /** Requests of one API token. */
  readonly perTokenSecond: number | null;
  /** Requests from one address, those of agents aside. */
  readonly perAddressSecond: number | null;
  /** Requests from one address that prove nothing, registrations of workers, and logins. */
  readonly perAddressMinuteUnproven: number | null;
}

export const NO_RATES: RateConfig = { perTokenSecond: null, perAddressSecond: null, perAddressMinuteUnproven: null };

/** Of a rate by the second, so many seconds at once: commands ask for much in a moment, and then for nothing. */
const BURST_SECONDS = 4;

/**
 * How often one caller may ask this server. What registered workers sign is not counted: it is bounded by what they run,
 * and holding it up would hold up runs. Each server counts for itself.
 */
export class RateLimits {
  readonly #tokens: TokenBuckets | null;
  readonly #addresses: TokenBuckets | null;
  readonly #unproven: TokenBuckets | null;

  constructor({ perTokenSecond, perAddressSecond, perAddressMinuteUnproven }: RateConfig) {
    const bySecond = (rate: number | null) =>
      rate === null ? null : new TokenBuckets({ perSecond: rate, burst: rate * BURST_SECONDS });
    this.#tokens = bySecond(perTokenSecond);
    this.#addresses = bySecond(perAddressSecond);
    this.#unproven =
      perAddressMinuteUnproven === null
        ? null
        : new TokenBuckets({ perSecond: perAddressMinuteUnproven / 60, burst: perAddressMinuteUnproven });
  }

  /** Before anything is looked up for a request. */
  arrived(request: FastifyRequest, route: Route): void {
    if (route.access.kind === "agent") return;
    const address = networkOf(request.ip);
    refuse(this.#addresses?.take(address), "This address asks too often.");
    // Of most routes only those requests count that failed.
    const waitMs = isCounted(route) ? this.#unproven?.take(address) : this.#unproven?.waitMs(address);
    refuse(waitMs, "Too many requests from this address proved nothing.");
  }

  /** It proved nothing. */
  refused(request: FastifyRequest, route: Route, error: unknown): void {
    const isUnproven = error instanceof BerthError && error.code === "unauthenticated";
    if (isUnproven && !isCounted(route)) this.#unproven?.take(networkOf(request.ip));
  }

  /** Once it is known who asks. */
  identified(principal: Principal): void {
    if (principal.kind === "token") refuse(this.#tokens?.take(principal.tokenId), "This API token asks too often.");
  }
}

/** Each registration makes a worker, and each login asks the identity provider. */
function isCounted({ access, counted }: Route): boolean {
  return access.kind === "registration" || counted === true;
}

function refuse(waitMs: number | undefined, message: string): void {
  if (waitMs === undefined || waitMs <= 0) return;
  const retryAfterSeconds = Math.ceil(waitMs / 1000);
  throw new BerthError("too_many_requests", message, {
    advice: `Try again in ${retryAfterSeconds} ${retryAfterSeconds === 1 ? "second" : "seconds"}.`,
    details: { retryAfterSeconds },
  });
}

/** Of IPv6 the first 64 bits: whoever has one address has all of these. */
export function networkOf(address: string): string {
  if (!address.includes(":") || address.includes(".")) return address;
  const [head = "", tail] = address.split("::");
  const groups = head.split(":").filter((group) => group !== "");
  const after = tail?.split(":").filter((group) => group !== "") ?? [];
  const zeros = tail === undefined ? 0 : 8 - groups.length - after.length;
  return [...groups, ...Array.from({ length: zeros }, () => "0"), ...after].slice(0, 4).join(":");
}
