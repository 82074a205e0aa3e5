import { execFile } from "node:child_process";
import { z } from "zod";
import { atLeast, byGravity, type Finding, type ScanRules, SEVERITIES, type Severity } from "./image-scan.ts";

/** A scan that said nothing of an image; the message is for people. */
export class ScanError extends Error {
  override readonly name = "ScanError";
}

/** The first scan of a machine downloads a database of some hundred megabytes. */
const SCAN_TIMEOUT_MS = 10 * 60_000;
/** Of the largest images; a report has a few kilobytes for each finding. */
const REPORT_MAX_BYTES = 128 * 1024 * 1024;
/** Of what the scanner said when it failed. */
const WORDS_MAX = 2_000;

/** As much of a report as is asked for (schema version 2). */
const Report = z.object({
  SchemaVersion: z.literal(2),
  Metadata: z.object({ ImageID: z.string().optional() }).optional(),
  Results: z
    .array(
      z.object({
        Vulnerabilities: z
          .array(
            z.object({
              VulnerabilityID: z.string(),
              PkgName: z.string(),
              InstalledVersion: z.string().default(""),
              FixedVersion: z.string().optional(),
              Severity: z.string(),
            }),
          )
          .nullish(),
      }),
    )
    .nullish(),
});

/** What Trivy knows of an image that is in the engine, by its id: nothing is pulled for this. The gravest first. */
export async function scanWithTrivy(
  image: string,
  { program, severity, unfixed }: ScanRules,
  signal: AbortSignal,
): Promise<Finding[]> {
  const severities = atLeast(severity).map((one) => one.toUpperCase());
  const args = ["image", "--format", "json", "--quiet", "--scanners", "vuln", "--image-src", "docker"];
  args.push("--severity", severities.join(","), ...(unfixed ? [] : ["--ignore-unfixed"]), image);
  const report = readReport(await outputOf(program, args, signal), program);
  const scanned = report.Metadata?.ImageID;
  if (scanned !== undefined && scanned !== image) {
    throw new ScanError(`${program} scanned another image, ${scanned}.`);
  }
  const found = (report.Results ?? []).flatMap(({ Vulnerabilities }) => Vulnerabilities ?? []).map(findingOf);
  // The same weakness of the same package is reported for each place where that is.
  const distinct = new Map(found.map((finding) => [`${finding.id} ${finding.package} ${finding.version}`, finding]));
  const wanted = new Set<Severity>(atLeast(severity));
  return [...distinct.values()].filter((one) => wanted.has(one.severity)).sort(byGravity);
}

type Vulnerability = NonNullable<NonNullable<z.infer<typeof Report>["Results"]>[number]["Vulnerabilities"]>[number];

function findingOf(one: Vulnerability): Finding {
  const severity = SEVERITIES.find((known) => known === one.Severity.toLowerCase()) ?? "unknown";
  const { VulnerabilityID: id, PkgName, InstalledVersion: version, FixedVersion } = one;
  return { id, severity, package: PkgName, version, fixedIn: FixedVersion || null };
}

function readReport(text: string, program: string): z.infer<typeof Report> {
  try {
    return Report.parse(JSON.parse(text));
  } catch (error) {
    const why = error instanceof z.ZodError ? z.prettifyError(error) : (error as Error).message;
    throw new ScanError(`What ${program} said is no report that Berth can read: ${why}`, { cause: error });
  }
}

function outputOf(program: string, args: readonly string[], signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { signal, timeout: SCAN_TIMEOUT_MS, maxBuffer: REPORT_MAX_BYTES, killSignal: "SIGKILL" } as const;
    execFile(program, args, options, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout);
      if (signal.aborted) return reject(signal.reason as Error);
      reject(new ScanError(whyFailed(program, error, stderr), { cause: error }));
    });
  });
}

function whyFailed(program: string, error: Error & { code?: unknown; killed?: boolean }, stderr: string): string {
  if (error.code === "ENOENT") return `The scanner ${program} is not on this worker.`;
  if (error.code === "EACCES") return `The scanner ${program} may not be started.`;
  if (error.code === "ERR_CHILD_PROCESS_STDIO_MAXBUFFER") return `The report of ${program} is larger than 128 MiB.`;
  if (error.killed) return `${program} was not done within ${SCAN_TIMEOUT_MS / 60_000} minutes.`;
  return `${program} failed (${String(error.code)}): ${stderr.trim().slice(-WORDS_MAX)}`;
}
