import { readFileSync } from "node:fs";
import { BerthError } from "../../protocol/errors.ts";
import { NAME_PATTERN } from "../../protocol/names.ts";
import { ROLES, type Role } from "../http/route.ts";
import type { RoleOfGroup } from "./login.ts";
import type { OidcConfig } from "./oidc-login.ts";

type Environment = Readonly<Record<string, string | undefined>>;

const LIFETIME_HOURS = 8;
const LIFETIME_HOURS_MAX = 7 * 24;

/**
 * BERTH_OIDC_ISSUER and BERTH_OIDC_CLIENT_ID, BERTH_OIDC_CLIENT_SECRET_FILE, BERTH_OIDC_SCOPES, BERTH_OIDC_GROUPS_CLAIM,
 * BERTH_OIDC_ROLES and BERTH_LOGIN_HOURS; null where people do not log in.
 */
export function readLoginConfig(env: Environment): OidcConfig | null {
  const issuer = given(env, "BERTH_OIDC_ISSUER");
  const clientId = given(env, "BERTH_OIDC_CLIENT_ID");
  if (issuer === null && clientId === null) return null;
  if (issuer === null || clientId === null) {
    const missing = issuer === null ? "BERTH_OIDC_ISSUER" : "BERTH_OIDC_CLIENT_ID";
    throw new BerthError("invalid_request", `${missing} is not set: logging in needs an issuer and a client id.`);
  }
  const secretFile = given(env, "BERTH_OIDC_CLIENT_SECRET_FILE");
  return {
    issuer: issuerOf(issuer),
    clientId,
    clientSecret: secretFile === null ? null : secretIn(secretFile),
    scopes: given(env, "BERTH_OIDC_SCOPES") ?? "openid profile email",
    groupsClaim: given(env, "BERTH_OIDC_GROUPS_CLAIM") ?? "groups",
    roles: (given(env, "BERTH_OIDC_ROLES") ?? "").split(/\s+/).filter(Boolean).map(roleOfGroup),
    lifetimeSeconds: hours(given(env, "BERTH_LOGIN_HOURS")) * 3600,
  };
}

function issuerOf(text: string): string {
  const url = URL.parse(text);
  const isLocal = url !== null && ["127.0.0.1", "[::1]", "localhost"].includes(url.hostname);
  if (url?.protocol === "https:" || (url?.protocol === "http:" && isLocal)) return text;
  throw invalid("BERTH_OIDC_ISSUER", "an address that begins with https://");
}

/** `wine:operator=wine-team`, `*:viewer=*`: project, role and group. */
function roleOfGroup(text: string): RoleOfGroup {
  const [, project = "", role = "", group = ""] = /^([^:=]+):([a-z]+)=(.+)$/.exec(text) ?? [];
  const isProject = project === "*" || NAME_PATTERN.test(project);
  if (isProject && isRole(role)) return { project, role, group };
  throw invalid("BERTH_OIDC_ROLES", "a list like `wine:operator=wine-team *:viewer=*`: project, role and group");
}

function isRole(text: string): text is Role {
  return (ROLES as readonly string[]).includes(text);
}

function hours(text: string | null): number {
  const value = text === null ? LIFETIME_HOURS : /^\d{1,3}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= 1 && value <= LIFETIME_HOURS_MAX) return value;
  throw invalid("BERTH_LOGIN_HOURS", `a whole number from 1 to ${LIFETIME_HOURS_MAX}`);
}

function secretIn(file: string): string {
  try {
    return readFileSync(file, "utf8").trim();
  } catch (error) {
    const why = (error as Error).message;
    throw new BerthError("invalid_request", `BERTH_OIDC_CLIENT_SECRET_FILE cannot be read: ${why}`, { cause: error });
  }
}

function given(env: Environment, name: string): string | null {
  const value = env[name];
  return value === undefined || value === "" ? null : value;
}

function invalid(name: string, wanted: string): BerthError {
  return new BerthError("invalid_request", `${name} is not ${wanted}.`);
}
