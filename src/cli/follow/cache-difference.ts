import type { CacheDifference } from "../../protocol/cache.ts";
import { plainText } from "../terminal/plain-text.ts";

const DIGEST = /^[0-9a-f]{64}$/;
const DIGEST_SHOWN_CHARS = 12;

/** `input rows changed: v4 → v5`, `params.seed changed: 7 → 8`, `env.MODE is new: fast`. */
export function differenceLine({ name, before, after, ...versions }: CacheDifference): string {
  const what = plainText(name.replace(/^inputs\./, "input "));
  if (before === null) return `${what} is new: ${shown(after!, versions.afterVersion)}`;
  if (after === null) return `${what} is gone: ${shown(before, versions.beforeVersion)}`;
  return `${what} changed: ${shown(before, versions.beforeVersion)} → ${shown(after, versions.afterVersion)}`;
}

function shown(value: string, version: number | null): string {
  if (version !== null) return `v${version}`;
  return DIGEST.test(value) ? value.slice(0, DIGEST_SHOWN_CHARS) : plainText(value);
}
