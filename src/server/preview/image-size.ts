import type { PreviewContent } from "../../protocol/preview.ts";

type Image = Extract<PreviewContent, { kind: "image" }>;

/** Size of an image as its first bytes say; null for what is none of the formats that browsers show. */
export function imageOf(bytes: Buffer): Image | null {
  return png(bytes) ?? gif(bytes) ?? webp(bytes) ?? jpeg(bytes);
}

function image(format: Image["format"], width: number | null, height: number | null): Image {
  return { kind: "image", format, width, height };
}

function png(bytes: Buffer): Image | null {
  if (bytes.length < 24 || bytes.toString("latin1", 0, 8) !== "\x89PNG\r\n\x1a\n") return null;
  if (bytes.toString("latin1", 12, 16) !== "IHDR") return image("png", null, null);
  return image("png", bytes.readUInt32BE(16), bytes.readUInt32BE(20));
}

function gif(bytes: Buffer): Image | null {
  if (bytes.length < 10 || !/^GIF8[79]a$/.test(bytes.toString("latin1", 0, 6))) return null;
  return image("gif", bytes.readUInt16LE(6), bytes.readUInt16LE(8));
}

function webp(bytes: Buffer): Image | null {
  if (bytes.length < 30 || bytes.toString("latin1", 0, 4) !== "RIFF" || bytes.toString("latin1", 8, 12) !== "WEBP") {
    return null;
  }
  const chunk = bytes.toString("latin1", 12, 16);
  if (chunk === "VP8X") return image("webp", bytes.readUIntLE(24, 3) + 1, bytes.readUIntLE(27, 3) + 1);
  if (chunk === "VP8 ") return image("webp", bytes.readUInt16LE(26) & 0x3fff, bytes.readUInt16LE(28) & 0x3fff);
  if (chunk !== "VP8L") return image("webp", null, null);
  const bits = bytes.readUInt32LE(21);
  return image("webp", (bits & 0x3fff) + 1, ((bits >>> 14) & 0x3fff) + 1);
}

/** Walks over the segments to the frame header, which says the size; one may be behind a large preview inside the file. */
function jpeg(bytes: Buffer): Image | null {
  if (bytes.length < 4 || bytes[0] !== 0xff || bytes[1] !== 0xd8 || bytes[2] !== 0xff) return null;
  let at = 2;
  while (at + 9 <= bytes.length && bytes[at] === 0xff) {
    const marker = bytes[at + 1]!;
    if (marker === 0xff) {
      at++;
      continue;
    }
    const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (isFrame) return image("jpeg", bytes.readUInt16BE(at + 7), bytes.readUInt16BE(at + 5));
    const length = bytes.readUInt16BE(at + 2);
    if (length < 2) break;
    at += 2 + length;
  }
  return image("jpeg", null, null);
}

/** How far into the text its root element begins and ends. */
const SVG_HEAD_CHARS = 8_192;

/** Of a text whose first element is `svg`. Units other than pixels are left out, as is what is a share of the page. */
export function svgOf(text: string): Image | null {
  const head = text.slice(0, SVG_HEAD_CHARS);
  const start = head.indexOf("<svg");
  // Only a declaration, comments and a document type may come before.
  if (start < 0 || !/^[\s>/]/.test(head.slice(start + 4)) || /<[a-zA-Z]/.test(head.slice(0, start))) return null;
  const element = head.slice(start, head.indexOf(">", start) + 1 || undefined);
  const attribute = (name: string) => new RegExp(`\\s${name}\\s*=\\s*["']([^"'<>]{0,200})["']`).exec(element)?.[1];
  const pixels = (value: string | undefined) => {
    const number = /^\s*(\d{1,9}(?:\.\d{1,9})?)(?:px)?\s*$/.exec(value ?? "")?.[1];
    return number === undefined ? null : Number(number);
  };
  const box = (attribute("viewBox") ?? "")
    .trim()
    .split(/[\s,]+/)
    .map(Number);
  const boxed = box.length === 4 && box.every((value) => Number.isFinite(value) && value >= 0) ? box : null;
  return image(
    "svg",
    pixels(attribute("width")) ?? boxed?.[2] ?? null,
    pixels(attribute("height")) ?? boxed?.[3] ?? null,
  );
}
