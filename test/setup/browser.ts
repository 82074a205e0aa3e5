import { type Browser, chromium } from "playwright-core";
import { ensurePackages } from "./docker.ts";

const PROGRAM = "chromium";

/** The distribution's Chromium, which as root on Debian or Ubuntu is installed first. */
export async function ensureBrowser(): Promise<string> {
  await ensurePackages([PROGRAM], PROGRAM);
  return PROGRAM;
}

export async function startBrowser(): Promise<Browser> {
  return await chromium.launch({
    executablePath: `/usr/bin/${await ensureBrowser()}`,
    // Its own sandbox cannot be had as root; it opens nothing but pages of the server under test.
    args: ["--no-sandbox", "--disable-gpu"],
  });
}
