import { logInByBrowser } from "./oidc-provider.ts";

/** A browser for `berth login` in tests, as BROWSER: `oidc-browser.ts ACCOUNT URL`. */
const [account, url] = process.argv.slice(2);
await fetch(await logInByBrowser(url!, account!));
