import { usageError } from "./cli-error.ts";

const UNIT_MS = { m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** Reads an option's value as a time, or as how long ago it was; as the API wants it. */
export function readMoment(text: string): string {
  const ago = /^(\d{1,6})([mhd])$/.exec(text);
  const time = ago === null ? Date.parse(text) : Date.now() - Number(ago[1]) * UNIT_MS[ago[2] as keyof typeof UNIT_MS];
  if (Number.isNaN(time)) throw usageError(`"${text}" is no time.`, "Write 2026-03-29T03:00:00Z, or 30m, 24h or 7d.");
  return new Date(time).toISOString();
}
