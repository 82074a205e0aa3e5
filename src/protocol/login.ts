import { z } from "zod";
import { Name } from "./names.ts";
import { CreatedToken } from "./tokens.ts";

/**
 * Logging in with the identity provider of the installation, by the authorization code flow with PKCE. Who logs in keeps
 * verifier, state and nonce; the server keeps nothing between the two requests.
 */

/** 32 random bytes or more, in base64url. */
const Random = z.string().regex(/^[A-Za-z0-9_-]{43,128}$/, "must be 43 to 128 characters of base64url");

/** A listener on the machine of whoever logs in (RFC 8252, 7.3). */
export const LoopbackRedirect = z
  .string()
  .regex(/^http:\/\/127\.0\.0\.1:\d{1,5}\/callback$/, "must be http://127.0.0.1:PORT/callback");

/** `POST /login/begin` */
export const BeginLoginRequest = z.strictObject({
  redirectUri: LoopbackRedirect,
  /** BASE64URL(SHA-256(verifier)). */
  codeChallenge: z.string().regex(/^[A-Za-z0-9_-]{43}$/, "must be a SHA-256 in base64url"),
  state: Random,
  nonce: Random,
});
export type BeginLoginRequest = z.infer<typeof BeginLoginRequest>;

/** Where the browser is to go. */
export const BegunLogin = z.strictObject({ authorizationUrl: z.url() });

/** `POST /login/finish` */
export const FinishLoginRequest = z.strictObject({
  redirectUri: LoopbackRedirect,
  /** The query that the browser came back with. */
  answer: z.string().max(8_000),
  codeVerifier: Random,
  state: Random,
  nonce: Random,
  project: Name.default("default"),
});
export type FinishLoginRequest = z.infer<typeof FinishLoginRequest>;

/** A token of one project that ends soon. */
export const FinishedLogin = CreatedToken;
