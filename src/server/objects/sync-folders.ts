import { open } from "node:fs/promises";
import { dirname } from "node:path";

/** A name is durable once its folder is, and so for each folder that was made for it, up to the first old one. */
export async function syncFolders(parent: string, firstMade: string | undefined): Promise<void> {
  const top = firstMade === undefined ? parent : dirname(firstMade);
  for (let folder = parent; ; folder = dirname(folder)) {
    await using handle = await open(folder, "r");
    await handle.sync();
    if (folder === top) return;
  }
}
