import { X509Certificate } from "node:crypto";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fingerprintOf } from "./certificate-fingerprint.ts";
import { findCertificate } from "./find-certificate.ts";
import { makeFolder } from "./make-folder.ts";

/**
 * The name of a file in `folder` with the certificate of this fingerprint. One that is not there yet is asked of the
 * server; throws as `findCertificate` does.
 */
export async function pinCertificate(server: URL, fingerprint: string, folder: string): Promise<string> {
  const name = `ca-${fingerprint.replace("sha256:", "").slice(0, 16)}.pem`;
  const file = join(folder, name);
  if (kept(file) === fingerprint) return name;
  const certificate = await findCertificate(server, fingerprint);
  makeFolder(folder);
  const temporary = `${file}.${process.pid}`;
  writeFileSync(temporary, certificate, { mode: 0o600, flush: true });
  renameSync(temporary, file);
  return name;
}

function kept(file: string): string | null {
  try {
    return fingerprintOf(new X509Certificate(readFileSync(file)));
  } catch {
    return null; // Not there, or not whole: fetched again.
  }
}
