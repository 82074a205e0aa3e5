import { posix } from "node:path";
import { z } from "zod";
import { Duration, Memory } from "../../pipeline/schema.ts";
import { mapping, NameText, record, text } from "../../pipeline/schema-parts.ts";
import { DESTINATION_RULE, parseDestination } from "../../protocol/egress.ts";
import { SEVERITIES } from "../scan/image-scan.ts";

/**
 * A worker's policy file, as its owner writes it: what steps may ask of this machine, whatever the server sends. What it
 * does not mention is allowed as far as Berth's own defaults go.
 */

const PATTERNS_MAX = 500;
const MOUNTS_MAX = 200;

/** What can be forbidden as a whole. */
export const FORBIDDABLE = ["network", "build", "gpus", "apparmor", "selinux", "runtime"] as const;
export type Forbiddable = (typeof FORBIDDABLE)[number];

/** Folders of a host that hold what runs it: whoever may read them is no guest any more. */
const HOST_FOLDERS = ["/proc", "/sys", "/dev", "/run", "/var/run", "/boot", "/root", "/etc"];
/** Folders of a container that are Berth's or the kernel's. */
const OWN_FOLDERS = ["/berth", "/.berth", "/berth-sdk", "/app", "/proc", "/sys", "/dev", "/tmp"];

const AbsolutePath = text(1_000).refine(
  (path) => posix.isAbsolute(path) && posix.normalize(path) === path && path !== "/" && !path.endsWith("/"),
  "must be an absolute path without '.', '..' and a slash at its end, and not / itself",
);

const Mount = mapping({
  from: AbsolutePath.refine((path) => !isBelow(path, HOST_FOLDERS), "holds what the host itself runs on").describe(
    "Folder of this machine.",
  ),
  to: AbsolutePath.refine((path) => !isBelow(path, OWN_FOLDERS), "belongs to Berth or to the kernel").describe(
    "Where steps see it, read-only.",
  ),
});

export const PolicyFile = mapping({
  backends: z.array(NameText).min(1).max(20).optional().describe("The only backends that runs may use."),
  images: mapping({
    allow: z
      .array(text(500))
      .min(1)
      .max(PATTERNS_MAX)
      .optional()
      .describe("Patterns; * stays between slashes, ** not."),
    digest: z.enum(["required", "optional"]).optional().describe("required: images are named by digest."),
    scan: mapping({
      mode: z.enum(["off", "warn", "block"]).describe("What becomes of an image with findings."),
      severity: z.enum(SEVERITIES).optional().describe("From which on a finding counts; default: high."),
      unfixed: z.enum(["count", "ignore"]).optional().describe("ignore: only what has a fixed version counts."),
      program: text(1_000).optional().describe("The scanner, Trivy's command line; default: trivy."),
    }).optional(),
  }).optional(),
  forbid: z.array(z.enum(FORBIDDABLE)).max(FORBIDDABLE.length).optional().describe("What no step may ask for."),
  egress: z
    .array(text(300).refine((destination) => parseDestination(destination) !== null, DESTINATION_RULE))
    .min(1)
    .max(PATTERNS_MAX)
    .optional()
    .describe("The only destinations that allow-lists of steps may name; *.example.com stands for names below."),
  limits: mapping({
    cpu: z.number().min(0.01).max(4096).optional(),
    memory: Memory.optional(),
    pids: z.int().min(1).max(4_000_000).optional(),
    time: Duration.optional(),
    disk: Memory.optional(),
  })
    .optional()
    .describe("The most that one step may ask for; one that asks for nothing gets that."),
  mounts: record(NameText, Mount, MOUNTS_MAX).optional().describe("Folders that steps may ask for, by name."),
});
export type PolicyFile = z.infer<typeof PolicyFile>;

function isBelow(path: string, folders: readonly string[]): boolean {
  return folders.some((folder) => path === folder || path.startsWith(`${folder}/`) || folder.startsWith(`${path}/`));
}
