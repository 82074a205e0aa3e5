/** Well-formed escape sequences: colours, cursor movements, window titles. They are dropped whole. */
const ESCAPE_SEQUENCE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: finding control characters is what this is for.
  /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[PX^_][^\u001b]*\u001b\\|[@-Z\\-_])/g;

/** What would still act on a terminal: C0 and C1 controls but for the tab, and characters that reorder text. */
const CONTROL =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: as above.
  /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/**
 * Text from elsewhere (a log, a name, a server's message) that cannot move the cursor, change colours or hide
 * anything. Escape sequences are dropped, single control characters become visible pictures (`␛`).
 */
export function plainText(text: string): string {
  return text.replace(ESCAPE_SEQUENCE, "").replace(CONTROL, picture);
}

/** The same for text of several lines. */
export function plainLines(text: string): string[] {
  return text.replace(/\r\n?/g, "\n").replace(/\n$/, "").split("\n").map(plainText);
}

function picture(character: string): string {
  const code = character.charCodeAt(0);
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  return code === 0x7f ? "␡" : "�";
}
