/** The ways in which a value may be written down, worked out apart from what masks them: `raw` is the first. */
export function writtenForms(value: string): ReadonlyMap<string, string> {
  const bytes = Buffer.from(value);
  const forms = new Map<string, string>([["raw", value]]);
  for (const lead of [0, 1, 2]) {
    // Whatever stands before it shifts the groups of three; the first and the last group hold some of its neighbours.
    const base64 = Buffer.concat([Buffer.alloc(lead), bytes])
      .toString("base64")
      .replace(/=+$/, "");
    const own = base64.slice(lead === 0 ? 0 : 4, -2);
    forms.set(`base64, shifted by ${lead}`, own);
    forms.set(`base64url, shifted by ${lead}`, own.replaceAll("+", "-").replaceAll("/", "_"));
  }
  forms.set("hex", bytes.toString("hex"));
  forms.set("HEX", bytes.toString("hex").toUpperCase());
  forms.set("URL", encodeURIComponent(value));
  forms.set("JSON", JSON.stringify(value).slice(1, -1));
  return forms;
}
