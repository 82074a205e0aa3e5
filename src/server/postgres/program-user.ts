import { readFileSync } from "node:fs";
import { BerthError } from "../../protocol/errors.ts";

export interface ProgramUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** PostgreSQL's own user where there is one, else the user that owns nothing. */
const CANDIDATES = ["postgres", "nobody"];

/** PostgreSQL refuses to run as root: the user it runs as instead; null when we are not root. */
export function programUser(): ProgramUser | null {
  if (process.getuid?.() !== 0) return null;
  const users = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .map((line) => line.split(":"));
  for (const name of CANDIDATES) {
    const fields = users.find((entry) => entry[0] === name);
    const uid = Number(fields?.[2]);
    const gid = Number(fields?.[3]);
    if (Number.isInteger(uid) && uid > 0 && Number.isInteger(gid)) return { name, uid, gid };
  }
  throw new BerthError("unavailable", "PostgreSQL refuses to run as root, and there is no other user to run it as", {
    advice: `Create the user ${CANDIDATES[0]}, start Berth as another user than root, or set DATABASE_URL.`,
  });
}
