import type { Readable } from "node:stream";
import { StringDecoder } from "node:string_decoder";

/** The objects of a stream with one JSON object per line. Throws where the stream breaks; always destroys it. */
export async function* jsonLines<T>(stream: Readable): AsyncGenerator<T, void, undefined> {
  const decoder = new StringDecoder("utf8");
  let rest = "";
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      const lines = (rest + decoder.write(chunk)).split("\n");
      rest = lines.pop()!;
      for (const line of lines) if (line.trim() !== "") yield JSON.parse(line) as T;
    }
    if (rest.trim() !== "") yield JSON.parse(rest) as T;
  } finally {
    stream.destroy();
  }
}
