import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Browser } from "playwright-core";
import { ScenarioPlatform } from "../scenarios/platform.ts";
import { startBrowser } from "../setup/browser.ts";
import { logIn, openPage, violations } from "./pages.ts";

const platform = new ScenarioPlatform();
let browser: Browser;
before(async () => {
  // Starts the platform, whose address the pages are at.
  assert.equal((await platform.berth("runs")).code, 0);
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
  await platform[Symbol.asyncDispose]();
});

const HOSTILE = '<img src=x onerror="alert(1)"><script>alert(2)</script>';

test("from the first login to a run that failed, why it did, and its restart", async () => {
  await using watched = await openPage(browser, platform);
  const { page, check } = watched;
  await logIn(page, platform);
  assert.doesNotMatch(page.url(), /code=/);
  await page.getByText("Nothing has run yet").waitFor();
  assert.deepEqual(await violations(page), []);

  platform.write("wine.json", {
    name: "wine",
    environment: { image: "none" },
    params: { depth: HOSTILE },
    steps: {
      load: { run: 'echo loaded; echo rows > "$BERTH_OUT/table"', outputs: ["table"] },
      train: {
        needs: ["load"],
        retry: 0,
        run: `printf '\\033[31m%s\\033[0m\\n' '${HOSTILE}'; exit 3`,
      },
    },
  });
  const ran = platform.start(["run", "wine.json", "--backend", "process"]);
  // It comes by itself.
  const row = page.getByRole("row", { name: /wine#1/ });
  await row.getByText("Failed").waitFor();
  await row.getByText("train: The step exited with code 3.").waitFor();
  assert.equal((await ran.ended).code, 1);

  await row.getByRole("link", { name: "wine#1" }).click();
  const panel = page.getByRole("region", { name: "Step train" });
  await panel.getByText("Read the end of the step's log.").waitFor();
  await panel.getByRole("log").getByText(HOSTILE).waitFor();
  await page.getByText("berth replay 'wine#1/train' --attempt 1").waitFor();
  assert.deepEqual(await violations(page), []);

  await page.getByRole("button", { name: /load/ }).click();
  assert.match(page.url(), /step=load/);
  await page.getByRole("region", { name: "Step load" }).getByText("loaded").waitFor();

  await page.getByRole("button", { name: "Restart from what failed" }).click();
  await page.getByRole("heading", { name: "wine#2" }).waitFor();
  await page.getByRole("region", { name: "Run" }).getByText("Failed", { exact: true }).waitFor();
  await page.getByText("taken over").waitFor();

  await page.getByRole("link", { name: "Overview" }).click();
  const failing = page.getByRole("region", { name: "Fails now" });
  await failing.getByText("2 in a row").waitFor();
  await page.getByText("Nothing waits.").waitFor();
  assert.deepEqual(await violations(page), []);
  // It changes by itself.
  assert.equal((await platform.berth("run", "wine.json", "--backend", "process")).code, 1);
  await failing.getByText("3 in a row").waitFor();
  check();
});

test("a run is followed while it goes on, and cancelled", async () => {
  await using watched = await openPage(browser, platform, { colorScheme: "dark", width: 390 });
  const { page, check } = watched;
  await logIn(page, platform);
  platform.write("slow.json", {
    name: "slow",
    environment: { image: "none" },
    steps: { tick: { run: "i=0; while true; do i=$((i+1)); echo tick $i; sleep 0.1; done" } },
  });
  const running = platform.start(["run", "slow.json", "--backend", "process"]);
  await page.getByRole("link", { name: "slow#1" }).click();
  const log = page.getByRole("log");
  await log.getByText("tick 5", { exact: true }).waitFor();
  // It stays at the end, whose lines come after.
  await log.getByText("tick 60", { exact: true }).waitFor();
  assert.deepEqual(await violations(page), []);
  await page.getByRole("button", { name: "Cancel" }).click();
  await page.getByRole("region", { name: "Run" }).getByText("Cancelled", { exact: true }).waitFor();
  await running.ended;
  check();
});

test("whoever has no session is asked for one, and a session that ended asks again where somebody is", async () => {
  await using watched = await openPage(browser, platform);
  const { page } = watched;
  const { url, token } = platform.endpoint();
  await page.goto(`${url}/runs?state=failed`);
  await page.getByLabel("API token").fill("brt_wrong");
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByText("The API token is not valid").waitFor();
  assert.deepEqual(await violations(page), []);
  await page.getByLabel("API token").fill(token);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("button", { name: "Failed" }).waitFor();
  assert.match(page.url(), /state=failed/);

  await page.context().clearCookies();
  await page.getByRole("heading", { name: "Log in to Berth" }).waitFor();
  await page.getByLabel("API token").fill(token);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByRole("heading", { name: "Log in to Berth" }).waitFor();
  const answer = await page.evaluate(async () => (await fetch("/api/v1/runs")).status);
  assert.equal(answer, 401);
});

test("what is not there is said, with a way back; without JavaScript a plain message is there", async () => {
  await using watched = await openPage(browser, platform);
  const { page } = watched;
  await logIn(page, platform);
  const { url } = platform.endpoint();
  await page.goto(`${url}/nowhere`);
  await page.getByText("There is no page here").waitFor();
  await page.goto(`${url}/runs/wine/999`);
  await page.getByText("There is no run wine#999.").waitFor();
  const context = await browser.newContext({ javaScriptEnabled: false });
  const plain = await context.newPage();
  await plain.goto(url);
  assert.ok(await plain.locator("noscript").isVisible());
  await context.close();
});
