/** What a name in an archive or a manifest may try. `OUTSIDE` stands for the path of a folder that is not the target. */
export const OUTSIDE = "{outside}";

const many = (text: string, times: number) => Array.from({ length: times }, () => text).join("/");

/** By what each tries; none may name a place outside, and most may name none at all. */
export const HOSTILE_PATHS: Readonly<Record<string, string>> = {
  "an absolute path": `${OUTSIDE}/new`,
  "an absolute path with two slashes": `/${OUTSIDE}/new`,
  "the root": "/",
  "one level up": "../new",
  "many levels up": `${many("..", 40)}/tmp/berth-hostile-new`,
  "up from below": "a/../../new",
  "up to the target itself": "a/..",
  "the level above": "..",
  "the target itself": ".",
  "a dot in front": "./a",
  "a dot within": "a/./b",
  "an empty name within": "a//b",
  "an empty name": "",
  "up with backslashes": "..\\new",
  "a backslash within": "a\\..\\..\\new",
  "a drive": "C:\\new",
  "a drive with slashes": "C:/new",
  "a share": "\\\\host\\share\\new",
  "a NUL within": "a\0/../../new",
  "a NUL at the end": "a\0",
  "a name of 256 bytes": "n".repeat(256),
  "a name of 128 two-byte letters": "ü".repeat(128),
  "a path of 4,000 bytes": many("p".repeat(99), 40),
  "a tree of 120 folders": many("d", 120),
  "a home folder": "~/.ssh/authorized_keys",
  "a variable": "$HOME/new",
  "three dots": ".../new",
  "dots and a blank": ".. /new",
  "an encoded dot": "%2e%2e/new",
  "an overlong dot": "\u2024\u2024/new",
  "a full-width slash": "..\uff0fnew",
  "a line break": "a\nb",
  "an escape sequence": "\u001b[2Ja",
  "text that runs backwards": "a\u202egnp.exe",
  "a device of other systems": "CON",
  "a stream of other systems": "a:stream",
  "a trailing slash": "folder/",
  "a trailing dot": "a.",
  __proto__: "__proto__",
  constructor: "constructor/prototype",
};

/** What a symbolic link may point to. */
export const HOSTILE_TARGETS: Readonly<Record<string, string>> = {
  "an absolute path": OUTSIDE,
  "the root": "/",
  "the level above": "..",
  "many levels up": many("..", 40),
  "up from below": "a/../../..",
  "up through itself": "link/..",
  itself: "link",
  "the process's root": "/proc/self/root",
  "the process's folder": "/proc/self/cwd",
  "a descriptor": "/dev/fd/3",
  nothing: "",
  "a NUL": "a\0b",
  "a backslash": "..\\..",
  "a long path": many("t".repeat(99), 40),
  "an absolute path with dots": `/../..${OUTSIDE}`,
  "an address": "file:///etc/passwd",
};

/** Two names that some file systems take for one. */
export const COLLISIONS: readonly (readonly [string, string])[] = [
  ["same", "same"],
  ["Case", "case"],
  ["caf\u00e9", "cafe\u0301"],
  ["stra\u00dfe", "STRASSE"],
  ["\u212a", "K"],
  ["a/B/c", "a/b/c"],
  ["\ufb01le", "file"],
  ["dot.", "dot"],
];
