/** The part of oidc-provider that tests use. */
declare module "oidc-provider" {
  import type { RequestListener } from "node:http";

  interface Context {
    readonly path: string;
    body: unknown;
  }

  export default class Provider {
    constructor(issuer: string, configuration: object);
    callback(): RequestListener;
    use(middleware: (context: Context, next: () => Promise<void>) => Promise<void>): void;
  }
}
