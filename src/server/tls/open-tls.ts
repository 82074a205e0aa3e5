import type { Logger } from "pino";
import type { TlsConfig } from "../config.ts";
import type { AppTls } from "../http/app.ts";
import { certificateFiles } from "./certificate-files.ts";
import { ownAuthority } from "./own-authority.ts";
import { ServerTls } from "./server-tls.ts";

/** Throws BerthError when there is no certificate that can be used. */
export function openTls(config: TlsConfig, folder: string, log: Logger): ServerTls {
  const source = config.kind === "files" ? certificateFiles(config) : ownAuthority({ folder, names: config.names });
  return new ServerTls(source, log);
}

export function appTls(tls: ServerTls | null): AppTls | null {
  return tls === null ? null : { ...tls.keyPair, strictTransport: tls.source.strictTransport };
}
