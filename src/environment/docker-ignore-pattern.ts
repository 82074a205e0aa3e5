export interface IgnorePattern {
  /** Whether the whole of a path matches: relative, with `/`. */
  matches(path: string): boolean;
}

/** What one element of a pattern takes. */
type Element =
  | { readonly kind: "one"; accepts(char: string): boolean }
  /** Any number of characters of one name. */
  | { readonly kind: "run" }
  /** Nothing, or whole folders with their slash. */
  | { readonly kind: "folders" }
  /** Whatever there is left. */
  | { readonly kind: "rest" };

/**
 * One pattern of a `.dockerignore`. It is followed in all ways at once, so that the time is the product of both lengths
 * and no pattern can hang whoever matches it. Throws a plain Error that says why it is no pattern.
 */
export function parsePattern(text: string): IgnorePattern {
  const { elements, isSuffix } = elementsOf(Array.from(text));
  return { matches: (path) => follow(elements, Array.from(path), isSuffix) };
}

/** Positions within the elements that the path so far can have led to. */
function follow(elements: readonly Element[], chars: readonly string[], isSuffix: boolean): boolean {
  let places = new Set<number>();
  enter(places, elements, 0);
  for (const char of chars) {
    const next = new Set<number>();
    // A pattern such as `**name` is matched by the end of a path, wherever that begins.
    if (isSuffix) enter(next, elements, 0);
    for (const place of places) {
      const element = elements[place];
      if (element === undefined) continue;
      if (element.kind === "rest") return true;
      if (element.kind === "folders") {
        // It goes on past any character, and what is behind it may begin after each slash.
        next.add(place);
        if (char === "/") enter(next, elements, place + 1);
      } else if (element.kind === "run") {
        if (char !== "/") enter(next, elements, place);
      } else if (element.accepts(char)) enter(next, elements, place + 1);
    }
    places = next;
    if (places.size === 0) return false;
  }
  return places.has(elements.length) || [...places].some((place) => elements[place]?.kind === "rest");
}

/** Adds a position, and those that are reached from it by taking nothing. */
function enter(places: Set<number>, elements: readonly Element[], place: number): void {
  places.add(place);
  const kind = elements[place]?.kind;
  if (kind === "run" || kind === "folders") enter(places, elements, place + 1);
}

function elementsOf(chars: readonly string[]): { readonly elements: Element[]; readonly isSuffix: boolean } {
  const elements: Element[] = [];
  let isPlain = true;
  let at = 0;
  const startsWithAny = chars[0] === "*" && chars[1] === "*";
  while (at < chars.length) {
    const char = chars[at]!;
    if (char === "*" && chars[at + 1] === "*") {
      const isFirst = at === 0;
      at += chars[at + 2] === "/" ? 3 : 2;
      const isLast = at === chars.length;
      elements.push(isLast ? { kind: "rest" } : { kind: "folders" });
      if (!isFirst) isPlain = false;
    } else if (char === "[") {
      const { accepts, end } = classAt(chars, at);
      elements.push({ kind: "one", accepts });
      at = end;
      isPlain = false;
    } else {
      if (char === "\\" && at + 1 === chars.length) throw new Error("it ends in a backslash");
      elements.push(elementOf(char, chars[at + 1]));
      if ("*?]\\".includes(char)) isPlain = false;
      at += char === "\\" ? 2 : 1;
    }
  }
  // `**/name` means whole names, `**name` the end of one as well.
  const isSuffix = startsWithAny && isPlain && chars.length > 2 && chars[2] !== "/";
  return { elements: isSuffix ? elements.slice(1) : elements, isSuffix };
}

function elementOf(char: string, following: string | undefined): Element {
  if (char === "*") return { kind: "run" };
  if (char === "?") return { kind: "one", accepts: (other) => other !== "/" };
  const literal = char === "\\" ? following : char;
  return { kind: "one", accepts: (other) => other === literal };
}

/** `[a-z]`, `[^a-z]`, with `\` before what is meant literally; unlike elsewhere, `!` negates nothing. */
function classAt(chars: readonly string[], start: number): { accepts(char: string): boolean; readonly end: number } {
  const ranges: (readonly [string, string])[] = [];
  let at = start + 1;
  const isNegated = chars[at] === "^";
  if (isNegated) at++;
  const member = (): string => {
    if (chars[at] === undefined || chars[at] === "-" || chars[at] === "]")
      throw new Error("its [ ] is empty, not closed, or has a - at an end");
    if (chars[at] === "\\") at++;
    const char = chars[at++];
    if (char === undefined) throw new Error("its [ is not closed");
    return char;
  };
  while (chars[at] !== "]" || ranges.length === 0) {
    const low = member();
    if (chars[at] !== "-") ranges.push([low, low]);
    else {
      at++;
      ranges.push([low, member()]);
    }
  }
  return {
    accepts: (char) => ranges.some(([low, high]) => low <= char && char <= high) !== isNegated,
    end: at + 1,
  };
}
