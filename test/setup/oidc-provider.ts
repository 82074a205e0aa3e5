import { generateKeyPairSync, type JsonWebKey } from "node:crypto";
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";
import Provider from "oidc-provider";

export interface TestProvider {
  readonly issuer: string;
  /** From now on it names other keys than those that it signs with. */
  hideKeys(): void;
  /** Nothing answers at its address any more. */
  stop(): Promise<void>;
}

/** A real identity provider, with the people of `groups`. Its client `berth` is public, of the native kind. */
export async function testProvider(
  t: TestContext,
  groups: Readonly<Record<string, readonly string[]>>,
  { codeSeconds = 60 }: { readonly codeSeconds?: number } = {},
): Promise<TestProvider> {
  let handle: RequestListener = () => {};
  const server = createServer((request, response) => handle(request, response));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const provider = new Provider(issuer, {
    clients: [
      {
        ...{ client_id: "berth", token_endpoint_auth_method: "none", application_type: "native" },
        ...{ redirect_uris: ["http://127.0.0.1/callback"], grant_types: ["authorization_code"] },
        response_types: ["code"],
      },
    ],
    findAccount: (_: unknown, id: string) => ({
      accountId: id,
      claims: async () => ({ sub: id, preferred_username: `${id}@example.com`, groups: groups[id] ?? [] }),
    }),
    claims: { openid: ["sub"], profile: ["preferred_username", "groups"], email: [] },
    conformIdTokenClaims: false,
    cookies: { keys: ["test"] },
    jwks: { keys: [newKey()] },
    ttl: { AuthorizationCode: codeSeconds, AccessToken: 60, IdToken: 60, Grant: 60, Interaction: 60, Session: 60 },
  });
  let hidden = false;
  provider.use(async (context, next) => {
    await next();
    if (!hidden || context.path !== "/jwks") return;
    const { d: _, p: _p, q: _q, dp: _dp, dq: _dq, qi: _qi, ...publicKey } = newKey();
    context.body = { keys: [publicKey] };
  });
  handle = provider.callback();
  const stop = async (): Promise<void> => {
    if (!server.listening) return;
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  };
  t.after(stop);
  const hideKeys = () => {
    hidden = true;
  };
  return { issuer, hideKeys, stop };
}

function newKey(): JsonWebKey {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return { ...privateKey.export({ format: "jwk" }), use: "sig", alg: "RS256" };
}

/** Pages between the first address and the last. */
const PAGES_MAX = 20;

/** What a browser and a person at it do: follows the provider's pages, and answers the address that it leads back to. */
export async function logInByBrowser(authorizationUrl: string, account: string): Promise<URL> {
  const cookies = new Map<string, string>();
  let at = new URL(authorizationUrl);
  let form: URLSearchParams | null = null;
  for (let page = 0; page < PAGES_MAX; page++) {
    const response: Response = await fetch(at, {
      redirect: "manual",
      headers: { cookie: [...cookies].map((cookie) => cookie.join("=")).join("; ") },
      ...(form === null ? {} : { method: "POST", body: form }),
    });
    for (const cookie of response.headers.getSetCookie()) {
      const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(cookie) ?? [];
      cookies.set(name, value);
    }
    const text = await response.text();
    const location = response.headers.get("location");
    form = null;
    if (location !== null) {
      at = new URL(location, at);
      if (at.pathname === "/callback") return at;
      continue;
    }
    const prompt = /name="prompt" value="(\w+)"/.exec(text)?.[1];
    const action = /action="([^"]+)"/.exec(text)?.[1];
    if (prompt === undefined || action === undefined) throw new Error(`no form at ${at.href}: ${text.slice(0, 500)}`);
    at = new URL(action, at);
    form = new URLSearchParams({ prompt, login: account, password: "any" });
  }
  throw new Error(`the provider does not lead back from ${at.href}`);
}
