import { writeFileSync } from "node:fs";
import { join } from "node:path";

/** The exit code that stands for a business error; every other one but 0 is an application error. */
export const BUSINESS_EXIT_CODE = 65;

/** More than anybody reads, and well below what Berth accepts. */
const MESSAGE_MAX_CHARS = 4000;

/**
 * Leaves the message where Berth finds it; what cannot be written is in the log all the same.
 *
 * @param {"business" | "application"} type
 * @param {string} message
 */
export function writeErrorFile(type, message) {
  const folder = process.env.BERTH_DIR;
  if (!folder) return;
  try {
    writeFileSync(
      join(folder, "error.json"),
      JSON.stringify({ type, message: message.slice(0, MESSAGE_MAX_CHARS) || type }),
    );
  } catch {}
}
