import * as oidc from "openid-client";
import { BerthError } from "../../protocol/errors.ts";
import type { BeginLoginRequest, FinishLoginRequest } from "../../protocol/login.ts";
import type { Login, Person, RoleOfGroup } from "./login.ts";

export interface OidcConfig {
  readonly issuer: string;
  readonly clientId: string;
  /** Null for a public client. */
  readonly clientSecret: string | null;
  readonly scopes: string;
  /** The claim of the ID token that lists the groups of a person. */
  readonly groupsClaim: string;
  readonly roles: readonly RoleOfGroup[];
  readonly lifetimeSeconds: number;
}

/** What a provider says of itself is asked again after this time; its keys are asked for again when one is unknown. */
const DISCOVERY_LIFETIME_MS = 10 * 60_000;
const REQUEST_TIMEOUT_SECONDS = 10;
const CLOCK_TOLERANCE_SECONDS = 30;
const GROUPS_MAX = 1_000;

/** Logging in by OpenID Connect: the code is redeemed here, so that what it is worth never leaves the server. */
export class OidcLogin implements Login {
  readonly roles: readonly RoleOfGroup[];
  readonly lifetimeSeconds: number;
  readonly #config: OidcConfig;
  #discovered: { readonly atMs: number; readonly provider: Promise<oidc.Configuration> } | null = null;

  constructor(config: OidcConfig) {
    this.roles = config.roles;
    this.lifetimeSeconds = config.lifetimeSeconds;
    this.#config = config;
  }

  async begin({ redirectUri, codeChallenge, state, nonce }: BeginLoginRequest): Promise<URL> {
    const provider = await this.#discover();
    return oidc.buildAuthorizationUrl(provider, {
      ...{ redirect_uri: redirectUri, scope: this.#config.scopes, state, nonce },
      ...{ code_challenge: codeChallenge, code_challenge_method: "S256" },
    });
  }

  async finish({ redirectUri, answer, codeVerifier, state, nonce }: FinishLoginRequest): Promise<Person> {
    const provider = await this.#discover();
    const callback = new URL(redirectUri);
    callback.search = answer;
    try {
      const tokens = await oidc.authorizationCodeGrant(provider, callback, {
        ...{ pkceCodeVerifier: codeVerifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true },
      });
      return this.#personOf(tokens.claims()!);
    } catch (error) {
      throw isAway(error) ? away(this.#config.issuer, error) : notProven(error);
    }
  }

  async #discover(): Promise<oidc.Configuration> {
    const now = performance.now();
    if (this.#discovered === null || now - this.#discovered.atMs > DISCOVERY_LIFETIME_MS) {
      this.#discovered = { atMs: now, provider: this.#ask() };
    }
    try {
      return await this.#discovered.provider;
    } catch (error) {
      this.#discovered = null;
      throw away(this.#config.issuer, error);
    }
  }

  async #ask(): Promise<oidc.Configuration> {
    const { issuer, clientId, clientSecret } = this.#config;
    const url = new URL(issuer);
    const provider = await oidc.discovery(
      url,
      clientId,
      { [oidc.clockTolerance]: CLOCK_TOLERANCE_SECONDS },
      clientSecret === null ? oidc.None() : oidc.ClientSecretBasic(clientSecret),
      {
        timeout: REQUEST_TIMEOUT_SECONDS,
        // Only on the loopback interface: config.ts refuses any other address without TLS.
        execute: url.protocol === "http:" ? [oidc.allowInsecureRequests] : [],
      },
    );
    // The signature of the ID token is checked, too, and not only that it came over TLS.
    oidc.enableNonRepudiationChecks(provider);
    return provider;
  }

  #personOf(claims: oidc.IDToken): Person {
    const named = [claims.preferred_username, claims.email, claims.name, claims.sub];
    const groups = claims[this.#config.groupsClaim];
    const listed = typeof groups === "string" ? [groups] : Array.isArray(groups) ? groups.slice(0, GROUPS_MAX) : [];
    return {
      subject: claims.sub,
      name: named.find((name): name is string => typeof name === "string" && name !== "")!.slice(0, 200),
      groups: listed.filter((group) => typeof group === "string"),
    };
  }
}

/** Nothing came back, or an error of the provider itself: nothing is known about who asked. */
function isAway(error: unknown): boolean {
  for (let one = error; one instanceof Error; one = one.cause) {
    if (one.name === "TimeoutError" || one.message === "fetch failed") return true;
    if (((one as { status?: unknown }).status as number) >= 500) return true;
  }
  return false;
}

function away(issuer: string, cause: unknown): BerthError {
  return new BerthError("unavailable", `The identity provider ${issuer} does not answer as it should.`, {
    advice: "Try again in a moment. API tokens work meanwhile.",
    cause,
  });
}

/** Without the reason, which may hold parts of what was sent; the server's log has it. */
function notProven(cause: unknown): BerthError {
  return new BerthError("unauthenticated", "The login is not proven by what the identity provider answered.", {
    advice: "Log in anew: each login is good for one use, and for a short time.",
    cause,
  });
}
