/** Escapes that JSON has and PostgreSQL's text has not: NUL, and halves of a surrogate pair. */
const UNSTORABLE = /\\u(?:0000|d[89ab][0-9a-f]{2}|d[c-f][0-9a-f]{2})/i;

/**
 * A value as one JSON parameter of a statement. What a step wrote may be in it, such as the evidence of a fault: bytes
 * that no text can hold are shown as U+FFFD, because refusing them would keep the report from ever being taken.
 */
export function jsonParameter(value: unknown): string {
  const json = JSON.stringify(value);
  return UNSTORABLE.test(json) ? JSON.stringify(value, storable) : json;
}

function storable(_key: string, value: unknown): unknown {
  return typeof value === "string" ? value.toWellFormed().replaceAll("\0", "\uFFFD") : value;
}
