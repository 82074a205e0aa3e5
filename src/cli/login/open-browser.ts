import { spawn } from "node:child_process";

/** Opens an address in the browser of whoever is at this machine: BROWSER, or what the system has. Best effort. */
export function openBrowser(url: string, env: NodeJS.ProcessEnv): void {
  const program = env.BROWSER || (process.platform === "darwin" ? "open" : "xdg-open");
  const browser = spawn(program, [url], { stdio: "ignore", detached: true, env });
  // The address was printed as well.
  browser.on("error", () => {});
  browser.unref();
}
