/** One event of a `text/event-stream` body. */
export interface StreamEvent {
  readonly id: string | null;
  readonly event: string;
  readonly data: string;
}

/** The events of a server-sent event stream, as the HTML standard has them; comments (keep-alives) are dropped. */
export async function* parseEventStream(body: AsyncIterable<Uint8Array>): AsyncGenerator<StreamEvent> {
  const decoder = new TextDecoder();
  let rest = "";
  let fields = emptyFields();
  for await (const chunk of body) {
    rest += decoder.decode(chunk, { stream: true });
    const lines = rest.split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop()!;
    for (const line of lines) {
      if (line !== "") {
        addField(fields, line);
        continue;
      }
      if (fields.data.length > 0) yield { id: fields.id, event: fields.event, data: fields.data.join("\n") };
      fields = emptyFields();
    }
  }
}

interface Fields {
  id: string | null;
  event: string;
  readonly data: string[];
}

function emptyFields(): Fields {
  return { id: null, event: "message", data: [] };
}

function addField(fields: Fields, line: string): void {
  const colon = line.indexOf(":");
  if (colon === 0) return;
  const name = colon < 0 ? line : line.slice(0, colon);
  const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
  if (name === "data") fields.data.push(value);
  else if (name === "id") fields.id = value;
  else if (name === "event") fields.event = value;
}
