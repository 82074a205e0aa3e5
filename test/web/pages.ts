import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Browser, Page } from "playwright-core";
import type { ScenarioPlatform } from "../scenarios/platform.ts";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

/** A page of a browser of its own, with everything in it that went wrong or went elsewhere. */
export interface WatchedPage extends AsyncDisposable {
  readonly page: Page;
  /** Fails where a script failed, the policy of the page stopped something, or another server was asked. */
  check(): void;
}

export async function openPage(
  browser: Browser,
  platform: ScenarioPlatform,
  options: { readonly colorScheme?: "light" | "dark"; readonly width?: number } = {},
): Promise<WatchedPage> {
  const { colorScheme = "light", width = 1280 } = options;
  const context = await browser.newContext({ colorScheme, viewport: { width, height: 800 } });
  const page = await context.newPage();
  const { origin } = new URL(platform.endpoint().url);
  const wrong: string[] = [];
  page.on("pageerror", ({ message }) => wrong.push(message));
  page.on("dialog", (dialog) => {
    wrong.push(`a dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.protocol !== "data:" && url.origin !== origin) wrong.push(`a request to ${url.href}`);
  });
  page.on("console", (message) => {
    // That nobody is logged in yet is asked, and answered, by a 401.
    if (message.type() === "error" && !/401/.test(message.text())) wrong.push(message.text());
  });
  return {
    page,
    check: () => assert.deepEqual(wrong, []),
    [Symbol.asyncDispose]: () => context.close(),
  };
}

/** Opens the link of `berth ui`, and the list of runs. */
export async function logIn(page: Page, platform: ScenarioPlatform): Promise<void> {
  const { code, stdout, stderr } = await platform.berth("ui", "--json", "--no-browser");
  assert.equal(code, 0, stderr);
  await page.goto((JSON.parse(stdout) as { url: string }).url);
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  await page.getByRole("link", { name: "Runs" }).click();
  await page.getByRole("heading", { name: "Runs" }).waitFor();
}

interface Violation {
  readonly id: string;
  readonly help: string;
  readonly nodes: readonly { readonly html: string }[];
}

/** What keeps people from using the page as it stands: WCAG 2.2, A and AA. */
export async function violations(page: Page): Promise<string[]> {
  // The policy of the page lets no script in, also not this one, unless it comes by the debugger.
  await page.evaluate(readFileSync(AXE, "utf8"));
  const found = (await page.evaluate(
    "axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] })",
  )) as { violations: readonly Violation[] };
  return found.violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html).join(" ")}`);
}
