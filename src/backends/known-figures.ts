import type { Stats } from "./execution-backend.ts";

/** Figures without those that nobody told. */
export function knownFigures(figures: { readonly [Name in keyof Stats]: number | null | undefined }): Stats {
  return Object.fromEntries(Object.entries(figures).filter(([, value]) => value != null));
}
