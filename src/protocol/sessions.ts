import { z } from "zod";

/** What a browser is let in with, and what it is told of who it is then. The session itself is a cookie. */

const Secret = z.string().min(1).max(200);

/** `POST /session`: an API token that somebody typed, or a code that a command printed. */
export const BeginSessionRequest = z.union([z.strictObject({ token: Secret }), z.strictObject({ code: Secret })]);
export type BeginSessionRequest = z.infer<typeof BeginSessionRequest>;

export const Session = z.object({
  /** Of the token that the session was made from. */
  name: z.string(),
  role: z.enum(["admin", "operator", "developer", "viewer"]),
  /** Null for the whole installation: each request names its project. */
  project: z.string().nullable(),
});
export type Session = z.infer<typeof Session>;

/** `POST /session/codes`: good once, for a few minutes. */
export const SessionCode = z.object({ code: z.string(), expiresAt: z.iso.datetime() });
export type SessionCode = z.infer<typeof SessionCode>;
