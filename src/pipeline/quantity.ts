/** `512MiB`, `1GiB`, `1.5GB`. */
export const MEMORY_PATTERN = /^(\d{1,9}(?:\.\d{1,3})?) ?(B|KB|MB|GB|TB|KiB|MiB|GiB|TiB)$/;
/** `250ms`, `30s`, `10m`, `2h`, `1d`. */
export const DURATION_PATTERN = /^(\d{1,9}(?:\.\d{1,3})?) ?(ms|s|m|h|d)$/;
/** The longest duration that is counted in whole milliseconds without a loss. */
export const DURATION_MAX = "104249991d";
const MANY_DIGITS = /^\d{10,}(?:\.\d+)? ?(?:ms|s|m|h|d)$/;

/** What is wrong with a text that is no duration by DURATION_PATTERN. */
export function durationProblem(text: unknown, examples: string): string {
  return MANY_DIGITS.test(String(text))
    ? `has more than 9 digits: take a larger unit; the maximum is ${DURATION_MAX}`
    : `must be a duration such as ${examples}`;
}

const BYTES: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};
const MILLISECONDS: Readonly<Record<string, number>> = { ms: 1, s: 1e3, m: 60e3, h: 3_600e3, d: 86_400e3 };

export function parseMemory(text: string): number {
  return quantity(text, MEMORY_PATTERN, BYTES);
}

export function parseDuration(text: string): number {
  return quantity(text, DURATION_PATTERN, MILLISECONDS);
}

/** The same for what may have been left out. */
export function durationOf(text: string | undefined): number | null {
  return text === undefined ? null : parseDuration(text);
}

function quantity(text: string, pattern: RegExp, units: Readonly<Record<string, number>>): number {
  const match = pattern.exec(text);
  if (match === null) throw new TypeError(`no quantity: ${text}`);
  return Math.round(Number(match[1]) * units[match[2]!]!);
}
