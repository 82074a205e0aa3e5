/** `registry:5000/team/tool` of `registry:5000/team/tool:1.2@sha256:…`: a reference without its tag and digest. */
export function repositoryOf(image: string): string {
  const [named = ""] = image.split("@");
  const lastPart = named.lastIndexOf("/") + 1;
  const tag = named.indexOf(":", lastPart);
  return tag < 0 ? named : named.slice(0, tag);
}

/** The registry of an image reference, as the engine reads it: without a host it is Docker Hub's. */
export function registryOf(image: string): string {
  const first = image.split("/")[0]!;
  const isHost = image.includes("/") && (first.includes(".") || first.includes(":") || first === "localhost");
  return isHost ? first : "docker.io";
}
