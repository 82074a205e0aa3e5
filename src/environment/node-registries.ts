import { shellWord } from "./dockerfile-words.ts";

/** Where Node packages come from; both left out for the manager's own registry. */
export interface NodeRegistries {
  readonly registry?: string | undefined;
  readonly scopes?: Readonly<Record<string, string>> | undefined;
}

export function registriesOf(node: NodeRegistries | null): string[] {
  const { registry, scopes = {} } = node ?? {};
  return [...(registry === undefined ? [] : [registry]), ...Object.values(scopes)];
}

/**
 * Files that say so to npm, pnpm and every yarn, for the time of an installation: what comes before it in a command line,
 * and after it. They lie where the packages are installed, because only there all of them look.
 */
export function writeRegistries({ registry, scopes = {} }: NodeRegistries): { before: string; after: string } {
  if (registry === undefined && Object.keys(scopes).length === 0) return { before: "", after: "" };
  const npm = [
    ...(registry === undefined ? [] : [`registry=${registry}`]),
    ...Object.entries(scopes).map(([scope, url]) => `${scope}:registry=${url}`),
  ];
  const yarn = {
    ...(registry !== undefined && { npmRegistryServer: registry }),
    npmScopes: Object.fromEntries(
      Object.entries(scopes).map(([scope, url]) => [scope.slice(1), { npmRegistryServer: url }]),
    ),
    // It asks no other host without TLS than those whose address says so.
    unsafeHttpWhitelist: registriesOf({ registry, scopes }).flatMap((url) => /^http:\/\/([^:/]+)/.exec(url)?.[1] ?? []),
  };
  return {
    before: `${write(npm, ".npmrc")} && ${write([JSON.stringify(yarn)], ".yarnrc.yml")} && `,
    after: " && rm .npmrc .yarnrc.yml",
  };
}

function write(lines: readonly string[], file: string): string {
  return `printf '%s\\n' ${lines.map(shellWord).join(" ")} >${file}`;
}
