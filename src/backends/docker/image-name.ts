/** An id or a digest names content; nothing can be pulled by a bare id. */
export function isImageId(image: string): boolean {
  return /^(sha256:)?[0-9a-f]{64}$/.test(image);
}

/** Whether this can be a name at all; the engine knows the finer rules, but takes names apart in URLs. */
export function isImageName(image: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9._:/@-]*$/.test(image) && !image.split("/").includes("..");
}

/** A repository as the engine writes it where it lists digests: without what goes without saying. */
export function familiarName(repository: string): string {
  return repository.replace(/^(index\.)?docker\.io\//, "").replace(/^library\//, "");
}
