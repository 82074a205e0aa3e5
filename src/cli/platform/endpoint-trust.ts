import { join } from "node:path";
import { parseFingerprint } from "../../std/certificate-fingerprint.ts";
import { OtherCertificate } from "../../std/find-certificate.ts";
import { pinCertificate } from "../../std/pin-certificate.ts";
import type { TlsTrust } from "../../std/tls-trust.ts";
import { noAnswerFrom } from "../api/no-answer.ts";
import { CliError, usageError } from "../cli-error.ts";
import type { ConfiguredEndpoint } from "./configured-endpoint.ts";
import { homeFiles } from "./home.ts";

/** By what a server is known. A certificate that is pinned is asked for once, and kept in the home. */
export async function trustOfEndpoint({ url, trust }: ConfiguredEndpoint, home: string): Promise<TlsTrust> {
  const { caFile, caFingerprint } = trust;
  if (caFile !== undefined && caFingerprint !== undefined) {
    throw usageError("Give one of --ca-file and --ca-fingerprint: they are two ways to say the same.");
  }
  if (!url.startsWith("https:") && (caFile ?? caFingerprint) !== undefined) {
    throw usageError(`${url} is an address without TLS: no certificate can be asked of it.`);
  }
  if (caFingerprint === undefined) return caFile === undefined ? {} : { caFile };
  const fingerprint = parseFingerprint(caFingerprint);
  if (fingerprint === null) {
    throw usageError(`"${caFingerprint}" is not the fingerprint of a certificate.`, "It is to look like sha256:4f0c…");
  }
  const folder = homeFiles(home).trusted;
  const name = await pinCertificate(new URL(url), fingerprint, folder).catch((error: unknown) => {
    throw error instanceof OtherCertificate ? other(url, fingerprint, error) : noAnswerFrom(url, error);
  });
  return { caFile: join(folder, name) };
}

function other(url: string, fingerprint: string, error: OtherCertificate): CliError {
  return new CliError(`${url} does not show the certificate ${fingerprint}, but ${error.shown.join(" and ")}.`, {
    cause: error,
    advice: [
      "Compare with what the server printed when it started. If that is the fingerprint given here,",
      "something between this machine and the server answers in its place. Nothing was sent to it.",
    ],
  });
}
