/** `registry:5000/team/tool` of `registry:5000/team/tool:1.2@sha256:…`: a reference without its tag and digest. */
export function repositoryOf(image: string): string {
  const [named = ""] = image.split("@");
  const lastPart = named.lastIndexOf("/") + 1;
  const tag = named.indexOf(":", lastPart);
  return tag < 0 ? named : named.slice(0, tag);
}
