import { scanRules } from "../scan/image-scan.ts";
import type { PolicyFile } from "./policy-schema.ts";

/** Of patterns and names: what people read at a glance. */
const SHOWN_MAX = 5;

/** A policy in short, one rule per line. It names no folder of the host: the server shows it to everyone. */
export function policySummary({
  backends,
  images,
  forbid = [],
  egress,
  limits = {},
  mounts = {},
}: PolicyFile): string[] {
  const { mode, severity } = scanRules({ images });
  const most = Object.entries(limits).map(([what, value]) => `${what} ${value}`);
  return [
    ...(backends === undefined ? [] : [`backends: ${backends.join(", ")}`]),
    ...(images?.allow === undefined ? [] : [`images: ${some(images.allow)}`]),
    ...(images?.digest === "required" ? ["images by digest only"] : []),
    ...(mode === "off" ? [] : [`images are scanned: ${mode} from ${severity} on`]),
    ...(forbid.length === 0 ? [] : [`forbidden: ${forbid.join(", ")}`]),
    ...(egress === undefined ? [] : [`network: none, or only ${some(egress)}`]),
    ...(most.length === 0 ? [] : [`at most: ${most.join(", ")}`]),
    ...(Object.keys(mounts).length === 0 ? [] : [`mounts: ${some(Object.keys(mounts))}`]),
  ];
}

function some(names: readonly string[]): string {
  const more = names.length - SHOWN_MAX;
  return `${names.slice(0, SHOWN_MAX).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}
