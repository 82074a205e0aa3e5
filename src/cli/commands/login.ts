import { createHash, randomBytes } from "node:crypto";
import type { Command } from "commander";
import { ApiClient } from "../api/client.ts";
import { beginLogin, finishLogin } from "../api/login.ts";
import { usageError } from "../cli-error.ts";
import type { CliContext } from "../context.ts";
import { listenForAnswer } from "../login/listen-for-answer.ts";
import { openBrowser } from "../login/open-browser.ts";
import { requireReplaceable, saveLogin } from "../login/save-login.ts";
import { configuredEndpoint, readConfigFile, type ServerChoice } from "../platform/configured-endpoint.ts";
import { trustOfEndpoint } from "../platform/endpoint-trust.ts";
import { berthHome, makeHome } from "../platform/home.ts";
import { withServerOptions } from "../server-options.ts";
import { formatLocal } from "../terminal/format-moment.ts";
import { plainText } from "../terminal/plain-text.ts";

interface Options extends ServerChoice {
  readonly project: string;
  readonly browser: boolean;
}

/** `berth login`: a token that ends soon, for a person, by the identity provider of the installation. */
export function define(command: Command, context: CliContext): void {
  withServerOptions(command)
    .option("--project <name>", "project to work in", "default")
    .option("--no-browser", "print the address to go to, and open nothing")
    .addHelpText("after", "\nExample:\n  berth login --server https://berth.example.com:7070 --project wine")
    .action((options: Options) => logIn(context, options));
}

async function logIn(context: CliContext, options: Options): Promise<void> {
  const { console, env } = context;
  const home = makeHome(berthHome(env));
  // Whoever logs in has no token yet.
  const server = options.server ?? (env.BERTH_SERVER || readConfigFile(home)?.server);
  const configured = server === undefined ? null : configuredEndpoint(env, { ...options, token: NO_TOKEN });
  if (configured === null) {
    throw usageError("There is no server to log in to.", "Name it: berth login --server https://…");
  }
  requireReplaceable(home, configured.url);
  const trust = await trustOfEndpoint(configured, home);
  const api = new ApiClient(() => ({ url: configured.url, token: NO_TOKEN, trust }));

  const [codeVerifier, state, nonce] = [random(), random(), random()];
  await using listener = await listenForAnswer(state);
  const { redirectUri } = listener;
  const codeChallenge = createHash("sha256").update(codeVerifier).digest("base64url");
  const { authorizationUrl } = await beginLogin(api, { redirectUri, codeChallenge, state, nonce });
  console.note(`Log in with your browser at\n  ${authorizationUrl}`);
  if (options.browser) openBrowser(authorizationUrl, env);
  const answer = await listener.answer();
  const { project } = options;
  const made = await finishLogin(api, { redirectUri, answer, codeVerifier, state, nonce, project });
  saveLogin(home, configured, made.token);
  console.out(
    `Logged in as ${plainText(made.name)}, ${made.role} of ${project}, until ${formatLocal(made.expiresAt!)}.`,
  );
}

/** Where a token has to be given, and is not looked at. */
const NO_TOKEN = "none";

function random(): string {
  return randomBytes(32).toString("base64url");
}
