import { readFileSync } from "node:fs";
import { BerthError } from "../../protocol/errors.ts";
import { type CertificateSource, checkKeyPair } from "./server-tls.ts";

/** Read anew rather than watched: files that are links to others, as in mounted secrets, tell no watcher of a change. */
const LOOK_INTERVAL_MS = 10_000;

/** A certificate that somebody else issues and renews. */
export function certificateFiles(files: { readonly cert: string; readonly key: string }): CertificateSource {
  return {
    read: () => checkKeyPair({ cert: readText(files.cert), key: readText(files.key) }, files),
    intervalMs: LOOK_INTERVAL_MS,
    caFile: files.cert,
    caFingerprint: null,
    strictTransport: true,
  };
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw new BerthError("invalid_request", `${file} cannot be read: ${(cause as Error).message}`, {
      advice: "Check BERTH_TLS_CERT and BERTH_TLS_KEY (--tls-cert, --tls-key), and who may read the files.",
      cause,
    });
  }
}
