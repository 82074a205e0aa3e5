import { BerthError } from "../../protocol/errors.ts";
import { goneWords } from "../../protocol/gone-version.ts";
import type { ArtifactVersion } from "../../protocol/resources.ts";

/** Throws `gone` for a version whose content is not there any more. */
export function requireContent(version: ArtifactVersion): void {
  const { expired } = version;
  if (expired === null) return;
  const { message, advice } = goneWords({ ...version, expired });
  throw new BerthError("gone", message, { advice, details: { expiredAt: expired.at, rule: expired.by } });
}
