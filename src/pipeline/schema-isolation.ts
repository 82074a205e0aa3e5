import { z } from "zod";
import { DESTINATION_RULE, DESTINATIONS_MAX, parseDestination } from "../protocol/egress.ts";
import { mapping, NameText, text } from "./schema-parts.ts";

const MOUNTS_MAX = 50;

/** Names of profiles and runtimes; no path, and nothing that a list of options could be made of. */
const HostName = text(128).regex(/^[A-Za-z0-9][A-Za-z0-9_.-]*$/, "a name holds letters, digits, '_', '.' and '-'");

/** A request that people know from other tools, and that no step is ever granted. */
function refused(why: string) {
  return z
    .union([z.boolean(), z.string()])
    .refine((value) => value === false, why)
    .optional()
    .describe(`Refused: ${why}.`);
}

const ALONE = "a step always has namespaces of its own, never those of its worker";

const NETWORK_RULE = "choose none, default or { allow: [host:port] }";

const Allowed = text(300).refine(
  (destination) => !destination.includes("*") && parseDestination(destination) !== null,
  DESTINATION_RULE,
);

export const IsolationSpec = mapping({
  network: z
    .union([
      z
        .string()
        .refine((word) => word !== "host", "no step is given its worker's own network; choose none or default")
        .refine((word): word is "none" | "default" => ["host", "none", "default"].includes(word), NETWORK_RULE),
      mapping({ allow: z.array(Allowed).min(1).max(DESTINATIONS_MAX).describe("host:port, or 10.1.0.0/16:port/udp.") }),
    ])
    .optional()
    .describe("none: without any. default: the one of the run. allow: one that reaches these only."),
  read_only_root: z
    .boolean()
    .optional()
    .describe("true: the step can write to its attempt folder and /tmp only. Default: false."),
  apparmor: HostName.optional().describe("Profile of AppArmor, which the worker has loaded."),
  selinux: HostName.optional().describe("Type of SELinux, such as container_t."),
  runtime: HostName.optional().describe(
    "Runtime of the worker's engine, such as runsc (gVisor) or kata; needs network: none.",
  ),
  mounts: z
    .array(NameText)
    .max(MOUNTS_MAX)
    .refine((names) => new Set(names).size === names.length, "names a mount twice")
    .optional()
    .describe("Folders of the worker, by the names that its policy gives them; read-only."),
  privileged: refused("no step runs privileged, whoever asks"),
  pid: refused(ALONE),
  ipc: refused(ALONE),
  capabilities: refused("no step is given capabilities"),
}).describe("How steps are kept apart from their worker and from each other. A step's keys win over the pipeline's.");
export type IsolationSpec = z.infer<typeof IsolationSpec>;
