import type { Owner } from "../../shim/control-folder.ts";
import type { EngineInfo } from "./engine-types.ts";

/** Not root, and what the first user of most systems and images has. */
const UNPRIVILEGED: Owner = { uid: 1000, gid: 1000 };

export interface ContainerUser {
  /** `uid:gid` inside the container. */
  readonly user: string;
  /** Whom the attempt's folders must belong to on the host; null when they do already. */
  readonly owner: Owner | null;
  /** `host` switches off the mapping of user ids that an engine may be set up with: files keep their owners. */
  readonly usernsMode: "" | "host";
}

/**
 * Steps run as the agent's own user, so that whatever they write can be collected and removed by the agent; where the
 * agent is root, as an unprivileged user whose files root can handle anyway. An engine without root maps its own user
 * to root inside containers: there, inside, that is the agent's user.
 */
export function containerUser(engine: Pick<EngineInfo, "SecurityOptions">, uid: number, gid: number): ContainerUser {
  const has = (name: string) =>
    engine.SecurityOptions?.some((option) => option.split(",").includes(`name=${name}`)) === true;
  const usernsMode = has("userns") ? "host" : "";
  if (has("rootless")) return { user: "0:0", owner: null, usernsMode };
  if (uid !== 0) return { user: `${uid}:${gid}`, owner: null, usernsMode };
  return { user: `${UNPRIVILEGED.uid}:${UNPRIVILEGED.gid}`, owner: UNPRIVILEGED, usernsMode };
}
