import { mkdirSync } from "node:fs";
import { resolve } from "node:path";
import { ScenarioPlatform } from "../scenarios/platform.ts";
import { startBrowser } from "../setup/browser.ts";
import { logIn, openPage } from "./pages.ts";

/**
 * `npm run screenshots [FOLDER]`: each page in light and dark, of a platform on which something has happened. Default folder
 * is coverage/screenshots; those that the README shows are in docs/img.
 */

const folder = resolve(process.argv[2] ?? "coverage/screenshots");
mkdirSync(folder, { recursive: true });
await using platform = new ScenarioPlatform();

const trained = (exitCode: number) => `
  for epoch in $(seq 1 40); do
    printf '\\033[2m%s\\033[0m epoch %2d  loss \\033[36m0.%03d\\033[0m\\n' "$(date +%T)" $epoch $((900 - epoch * 17))
  done
  ${exitCode === 0 ? "" : `printf '\\033[31mValueError: 12 rows have no value of "alcohol"\\033[0m\\n' >&2`}
  sleep 1
  exit ${exitCode}`;

const wine = (exitCode: number) => ({
  name: "wine",
  environment: { image: "none" },
  params: { depth: 8, country: "France" },
  retry: 0,
  steps: {
    load: { run: "sleep 0.6; echo 6497 rows" },
    clean: { needs: ["load"], run: "sleep 0.4; echo 12 rows without a value" },
    train: { needs: ["clean"], matrix: { model: ["forest", "knn"] }, run: trained(exitCode) },
    report: { needs: ["train"], run: "echo written" },
  },
});

platform.write("good.json", wine(0));
platform.write("bad.json", wine(1));
platform.write("stuck.json", {
  name: "nightly",
  environment: { image: "none" },
  steps: { fit: { run: "true" } },
});
for (const file of ["good.json", "good.json", "bad.json"]) await platform.berth("run", file, "--backend", "process");
await platform.berth("run", "stuck.json", "--pool", "gpu", "--detach");

const browser = await startBrowser();
try {
  for (const colorScheme of ["light", "dark"] as const) {
    await using watched = await openPage(browser, platform, { colorScheme });
    const { page } = watched;
    await logIn(page, platform);
    const { url } = platform.endpoint();
    const shoot = async (name: string, path: string, until: string) => {
      await page.goto(`${url}${path}`);
      await page.getByText(until).first().waitFor();
      await page.waitForLoadState("networkidle").catch(() => {});
      await page.screenshot({ path: resolve(folder, `${name}-${colorScheme}.png`) });
    };
    await shoot("overview", "/", "Fails now");
    await shoot("runs", "/runs", "wine#3");
    await shoot("run", "/runs/wine/3", "ValueError");
    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByText("Log in to Berth").waitFor();
    await page.screenshot({ path: resolve(folder, `login-${colorScheme}.png`) });
  }
} finally {
  await browser.close();
}
