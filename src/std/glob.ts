/**
 * Matches a `/`-separated path against a pattern: `*` and `?` within one name, `[a-z]` and `[!a-z]` for one
 * character, `**` for any number of folders, `\` before a character to mean it literally. Never slower than the
 * product of both lengths, so a hostile pattern cannot hang whoever matches it.
 */
export function matchesGlob(pattern: string, path: string): boolean {
  const patterns = pattern.split("/");
  const names = path.split("/");
  return matchesSequence(
    patterns.length,
    names.length,
    (index) => patterns[index] === "**",
    (index, name) => matchesName(patterns[index]!, names[name]!),
  );
}

type Token = { readonly star: true } | { readonly star: false; matches(char: string): boolean };

function matchesName(pattern: string, name: string): boolean {
  const tokens = tokensOf(pattern);
  const chars = Array.from(name);
  return matchesSequence(
    tokens.length,
    chars.length,
    (index) => tokens[index]!.star,
    (index, char) => {
      const token = tokens[index]!;
      return !token.star && token.matches(chars[char]!);
    },
  );
}

/** Matches a sequence against elements of which some (stars) take any number of items: go on, and fall back to the last star. */
function matchesSequence(
  elements: number,
  items: number,
  isStar: (element: number) => boolean,
  matches: (element: number, item: number) => boolean,
): boolean {
  let element = 0;
  let star = -1;
  let afterStar = 0;
  for (let item = 0; item < items; ) {
    if (element < elements && isStar(element)) {
      star = element++;
      afterStar = item;
    } else if (element < elements && matches(element, item)) {
      element++;
      item++;
    } else if (star >= 0) {
      element = star + 1;
      item = ++afterStar;
    } else return false;
  }
  while (element < elements && isStar(element)) element++;
  return element === elements;
}

function tokensOf(pattern: string): Token[] {
  const tokens: Token[] = [];
  const chars = Array.from(pattern);
  for (let at = 0; at < chars.length; at++) {
    const char = chars[at]!;
    const close = char === "[" ? chars.indexOf("]", at + (chars[at + 1] === "!" || chars[at + 1] === "^" ? 3 : 2)) : -1;
    if (char === "*") tokens.push({ star: true });
    else if (char === "?") tokens.push({ star: false, matches: () => true });
    else if (close > 0) {
      tokens.push({ star: false, matches: classOf(chars.slice(at + 1, close)) });
      at = close;
    } else {
      const literal = char === "\\" ? (chars[++at] ?? "\\") : char;
      tokens.push({ star: false, matches: (other) => other === literal });
    }
  }
  return tokens;
}

function classOf(members: readonly string[]): (char: string) => boolean {
  const negated = members[0] === "!" || members[0] === "^";
  const list = negated ? members.slice(1) : members;
  const ranges: (readonly [string, string])[] = [];
  for (let at = 0; at < list.length; at++) {
    const isRange = list[at + 1] === "-" && list[at + 2] !== undefined;
    ranges.push([list[at]!, isRange ? list[at + 2]! : list[at]!]);
    if (isRange) at += 2;
  }
  return (char) => ranges.some(([low, high]) => low <= char && char <= high) !== negated;
}
