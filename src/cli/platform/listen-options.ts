import { resolve } from "node:path";
import type { Command } from "commander";

export interface ListenOptions {
  readonly listen?: string;
  readonly tls?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsName?: string[];
}

/** The options of what starts a server; each wins over its variable. */
export function withListenOptions(command: Command): Command {
  return command
    .option("--listen <host:port>", "address to listen on; by default 127.0.0.1:7070 (BERTH_LISTEN)")
    .option("--tls-cert <file>", "certificate with its chain, in PEM; read again when it changes (BERTH_TLS_CERT)")
    .option("--tls-key <file>", "private key of it (BERTH_TLS_KEY)")
    .option("--tls <how>", "generate: a certificate by an authority of its own, which workers pin (BERTH_TLS)")
    .option(
      "--tls-name <name>",
      "name or address for it beside this machine's; may be repeated (BERTH_TLS_NAMES)",
      collect,
    );
}

function collect(name: string, all: string[] = []): string[] {
  return [...all, name];
}

/** The same as variables, which is what a server reads. */
export function listenEnvironment({ listen, tls, tlsCert, tlsKey, tlsName }: ListenOptions): NodeJS.ProcessEnv {
  return {
    ...(listen === undefined ? {} : { BERTH_LISTEN: listen }),
    ...(tls === undefined ? {} : { BERTH_TLS: tls }),
    ...(tlsCert === undefined ? {} : { BERTH_TLS_CERT: resolve(tlsCert) }),
    ...(tlsKey === undefined ? {} : { BERTH_TLS_KEY: resolve(tlsKey) }),
    ...(tlsName === undefined ? {} : { BERTH_TLS_NAMES: tlsName.join(" ") }),
  };
}
