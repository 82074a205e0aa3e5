import { Composer, type Document, Lexer, type Node, Parser } from "yaml";

/** The format itself is 7 deep. */
export const DEPTH_MAX = 32;
/** Words, signs and blanks that the parser sees: bounds its time. A file of 5,000 steps and 1 MiB has 400,000. */
const LEXEMES_MAX = 600_000;
/** What the parser cannot make sense of; after so many it is no YAML. */
const STRAY_MAX = 100;

export interface SyntaxProblem {
  readonly offset: number;
  readonly message: string;
}

export type YamlResult =
  | { readonly ok: true; readonly contents: Node | null }
  | { readonly ok: false; readonly problems: SyntaxProblem[] };

/** Parses one document of YAML 1.2, of which JSON is a part, in time linear in the text. */
export function parseYaml(text: string): YamlResult {
  // An error of the parser costs 10 µs for its stack trace, and hostile text has a million errors.
  const traceLimit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  try {
    const composer = new Composer({ version: "1.2", uniqueKeys: false, prettyErrors: false });
    const documents: Document.Parsed[] = [];
    for (const document of composer.compose(guardedTokens(text), true, text.length)) {
      if (documents.push(document) > 1) break;
    }
    return judge(documents, text);
  } catch (error) {
    if (error instanceof TooMuch) return { ok: false, problems: [error] };
    throw error;
  } finally {
    Error.stackTraceLimit = traceLimit;
  }
}

function judge([document, second]: readonly Document.Parsed[], text: string): YamlResult {
  if (document === undefined) return { ok: true, contents: null };
  const { explicit, version } = document.directives.yaml;
  if (explicit && version !== "1.2") {
    return refuse(0, `YAML ${version} is not supported, only 1.2: remove the %YAML line`);
  }
  // The parser goes on after an error, but what it finds from there on mostly follows from it.
  const [error] = document.errors.toSorted((one, other) => one.pos[0] - other.pos[0]);
  if (error !== undefined) {
    const [offset] = error.pos;
    return refuse(offset, `not valid YAML: ${error.message}${conditionHint(text, offset)}`);
  }
  if (second !== undefined) {
    return refuse(second.range[0], "a second document starts here; a file holds one pipeline");
  }
  return { ok: true, contents: document.contents };
}

/** A condition without quotes in `{ }`, before the place of an error: its brackets, quotes and commas are YAML's there. */
const BARE_CONDITION = /[{,]\s*when:\s+[^'"\s]/;

function conditionHint(text: string, offset: number): string {
  const line = text.slice(text.lastIndexOf("\n", offset - 1) + 1, offset);
  return BARE_CONDITION.test(line) ? "; a condition within { } has to be in quotes: { when: '…' }" : "";
}

/** Thrown through the parser, which draws its tokens one by one. */
class TooMuch extends Error {
  override readonly name = "TooMuch";
  readonly offset: number;

  constructor(offset: number, message: string) {
    super(message);
    this.offset = offset;
  }
}

/** The parser's tokens, as long as the text stays within what its recursion and our patience allow. */
function* guardedTokens(text: string) {
  const parser = new Parser();
  // Brackets that are open, and the `-`, `?` and `:` of one line, which nest without brackets.
  let [lexemes, brackets, indicators, stray] = [0, 0, 0, 0];
  for (const lexeme of new Lexer().lex(text)) {
    lexemes++;
    if (lexeme === "[" || lexeme === "{") brackets++;
    else if (lexeme === "]" || lexeme === "}") brackets--;
    else if (lexeme === "-" || lexeme === "?" || lexeme === ":") indicators++;
    else if (lexeme === "," || (lexeme.endsWith("\n") && brackets === 0)) indicators = 0;
    if (brackets > DEPTH_MAX || indicators > DEPTH_MAX) {
      throw new TooMuch(parser.offset, `nested more than ${DEPTH_MAX} deep`);
    }
    if (lexemes > LEXEMES_MAX) throw new TooMuch(parser.offset, `more than ${LEXEMES_MAX} words and signs`);
    for (const token of parser.next(lexeme)) {
      if (token.type === "error" && ++stray > STRAY_MAX) throw new TooMuch(token.offset, "not valid YAML at all");
      yield token;
    }
  }
  yield* parser.end();
}

function refuse(offset: number, message: string): YamlResult {
  return { ok: false, problems: [{ offset, message }] };
}
