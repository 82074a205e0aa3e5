import { createHash } from "node:crypto";
import type { ManifestEntry } from "../artifacts.ts";

/** What every file of these manifests holds. */
export const HOSTILE_BYTES = "evil";

const digest = createHash("sha256").update(HOSTILE_BYTES).digest("hex");
const file = (path: string): ManifestEntry => ({ kind: "file", path, mode: 0o644, size: HOSTILE_BYTES.length, digest });
const link = (path: string, target: string): ManifestEntry => ({ kind: "link", path, target });
const folder = (path: string): ManifestEntry => ({ kind: "folder", path, mode: 0o755 });

/** Places that no entry may have. */
const PATHS = [
  ...["", ".", "..", "/", "//", "/a", "//a", "a/", "a//b", "./a", "a/.", "a/./b", "a/..", "a/../b", "../a", "../../a"],
  ...["a/../../b", "a/b/../../../c", "../canary", "../../canary", "../../../canary", "/tmp/berth-forged", "/etc/berth"],
  ...["\0", "a\0", "a\0b", "a/\0", "../\0", "\\", "a\\b", "..\\a", "C:\\a", "\\\\host\\share", "a/b\\..\\c"],
  ...["x".repeat(256), "é".repeat(128), `a/${"x".repeat(300)}`, Array(101).fill("d").join("/")],
  ...[Array(1_000).fill("d").join("/"), Array(10).fill("x".repeat(250)).join("/")],
];

/** Where no link may lead; with each of them also one folder further down. */
const TARGETS = [
  ...["..", "../..", "../canary", "../../canary", "./..", ".//..", "a/../..", "a/../../canary", "a/b/../../.."],
];
const TARGETS_ANYWHERE = [
  ...["", "/", "/etc/passwd", "/tmp", "//tmp", "\0", "a\0b", "\\", "..\\..", "a\\b", "x".repeat(2_049)],
];

/** Entries that are fine one by one, and not together. */
const TOGETHER: Record<string, ManifestEntry[]> = {
  "a file through a link to itself": [link("x", "."), file("x/canary")],
  "a file through a link to a folder": [folder("d"), link("x", "d"), file("x/canary")],
  "a file through a link that comes later": [file("x/canary"), link("x", "d")],
  "a file through a link through a folder": [folder("d"), link("d/x", "."), file("d/x/canary")],
  "a folder through a link": [folder("d"), link("x", "d"), folder("x/sub")],
  "a link through a link": [folder("d"), link("x", "d"), link("x/y", "z")],
  "a link whose target leads through a link": [folder("d"), link("d/up", ".."), link("x", "d/up/..")],
  "a link whose target leads through a link that comes later": [folder("d"), link("x", "d/up/a"), link("d/up", "..")],
  "a link over a file": [file("x"), link("x", ".")],
  "a file over a link": [link("x", "y"), file("x")],
  "a link over a folder": [folder("x"), link("x", ".")],
  "a folder over a link": [link("x", "."), folder("x")],
  "a folder over a file": [file("x"), folder("x")],
  "a file over a folder": [folder("x"), file("x")],
  "a file over a folder that is not named": [file("x/y"), file("x")],
  "a link over a folder that is not named": [file("x/y"), link("x", ".")],
  "the same file twice": [file("x"), file("x")],
  "the same link twice": [link("x", "a"), link("x", "b")],
  "a file below a file": [file("x"), file("x/y")],
  "a folder below a file": [file("x"), folder("x/y")],
  "a link below a file": [file("x"), link("x/y", "z")],
};

/** Manifests made to do harm, as a worker or a server could hand them out, by what is wrong with them. */
export function hostileManifests(): Map<string, ManifestEntry[]> {
  const all = new Map(Object.entries(TOGETHER));
  const shown = (text: string) => JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…${text.length}` : text);
  for (const path of PATHS) {
    all.set(`the file ${shown(path)}`, [file(path)]);
    all.set(`the folder ${shown(path)}`, [folder(path)]);
    all.set(`the link ${shown(path)}`, [link(path, "target")]);
    all.set(`${shown(path)} among others`, [file("before"), file(path), link("after", "before")]);
  }
  for (const target of TARGETS) {
    all.set(`a link to ${shown(target)}`, [link("x", target)]);
    all.set(`a link further down to ${shown(target)}`, [link("d/x", `../${target}`)]);
  }
  for (const target of TARGETS_ANYWHERE) {
    all.set(`a link to ${shown(target)}`, [link("x", target)]);
    all.set(`a link in a folder to ${shown(target)}`, [folder("d"), link("d/x", target)]);
  }
  return all;
}
