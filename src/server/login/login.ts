import type { BeginLoginRequest, FinishLoginRequest } from "../../protocol/login.ts";
import { ROLES, type Role } from "../http/route.ts";

/** Somebody as the identity provider knows them. */
export interface Person {
  /** Never given to anybody else by the same provider. */
  readonly subject: string;
  /** For people to read; nothing is decided by it. */
  readonly name: string;
  readonly groups: readonly string[];
}

/** Who has which role: the members of a group, in a project or in all of them (`*`). */
export interface RoleOfGroup {
  readonly project: string;
  readonly role: Role;
  /** `*`: whoever logs in. */
  readonly group: string;
}

/** How people log in here. */
export interface Login {
  readonly roles: readonly RoleOfGroup[];
  /** Of the tokens that people get. */
  readonly lifetimeSeconds: number;
  /** Where the browser is to go. Throws `unavailable` when the provider does not answer. */
  begin(request: BeginLoginRequest): Promise<URL>;
  /** Who came back; throws `unauthenticated` where the provider, or what it says, does not prove it. */
  finish(request: FinishLoginRequest): Promise<Person>;
}

/** The highest role that the groups of a person give in a project; null for none. */
export function roleOf(roles: readonly RoleOfGroup[], { groups }: Person, project: string): Role | null {
  const given = roles
    .filter((one) => one.project === "*" || one.project === project)
    .filter(({ group }) => group === "*" || groups.includes(group))
    .map(({ role }) => role);
  return ROLES.find((role) => given.includes(role)) ?? null;
}
