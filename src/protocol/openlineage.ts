import { createHash } from "node:crypto";
import { z } from "zod";

/** Events of OpenLineage (https://openlineage.io), specification 2-0-2, as far as Berth says them. */

export const OPENLINEAGE_SCHEMA = "https://openlineage.io/spec/2-0-2/OpenLineage.json";

/** Each facet says who wrote it and what it is like; everything else is its own. */
export const Facet = z.looseObject({ _producer: z.url(), _schemaURL: z.url() });
export type Facet = z.infer<typeof Facet>;

const Facets = z.record(z.string(), Facet);
export type Facets = z.infer<typeof Facets>;

export const OpenLineageDataset = z.strictObject({
  namespace: z.string(),
  name: z.string(),
  facets: Facets,
  inputFacets: Facets.optional(),
  outputFacets: Facets.optional(),
});
export type OpenLineageDataset = z.infer<typeof OpenLineageDataset>;

export const OpenLineageEvent = z.strictObject({
  eventType: z.enum(["START", "COMPLETE", "FAIL", "ABORT"]),
  eventTime: z.iso.datetime(),
  producer: z.url(),
  schemaURL: z.literal(`${OPENLINEAGE_SCHEMA}#/$defs/RunEvent`),
  run: z.strictObject({ runId: z.uuid(), facets: Facets }),
  job: z.strictObject({ namespace: z.string(), name: z.string(), facets: Facets }),
  inputs: z.array(OpenLineageDataset),
  outputs: z.array(OpenLineageDataset),
});
export type OpenLineageEvent = z.infer<typeof OpenLineageEvent>;

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
/** Characters of an id that hold its time: 48 bits, behind two that are always zero. */
const TIME_CHARS = 10;

/**
 * The UUID under which a run, or an attempt of it, is known to OpenLineage: always the same for the same, and sorted by
 * the time of the run like a UUID of version 7.
 */
export function openLineageRunId(
  run: string,
  attempt?: { readonly stepRun: string; readonly attempt: number },
): string {
  const text = run.slice(run.indexOf("_") + 1);
  let time = 0;
  for (const character of text.slice(0, TIME_CHARS)) time = time * 32 + ALPHABET.indexOf(character);
  const name = attempt === undefined ? run : `${run}\0${attempt.stepRun}\0${attempt.attempt}`;
  const bytes = createHash("sha256").update(`berth openlineage\0${name}`).digest().subarray(0, 16);
  bytes.writeUIntBE(time % 2 ** 48, 0, 6);
  bytes[6] = 0x70 | (bytes[6]! & 0x0f);
  bytes[8] = 0x80 | (bytes[8]! & 0x3f);
  const hex = bytes.toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
