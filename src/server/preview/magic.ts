/** What the first bytes of a file say that it is, for those that are not shown otherwise. */
const MAGIC: readonly (readonly [start: string, type: string])[] = [
  ["PK\x03\x04", "ZIP archive (also of Office, Java and PyTorch files)"],
  ["PK\x05\x06", "ZIP archive, empty"],
  ["\x1f\x8b", "gzip"],
  ["BZh", "bzip2"],
  ["\xfd7zXZ\x00", "xz"],
  ["\x28\xb5\x2f\xfd", "Zstandard"],
  ["7z\xbc\xaf\x27\x1c", "7-Zip archive"],
  ["%PDF-", "PDF"],
  ["\x7fELF", "ELF program or library"],
  ["MZ", "Windows program or library"],
  ["SQLite format 3\x00", "SQLite database"],
  ["\x89HDF\r\n\x1a\n", "HDF5"],
  ["ARROW1", "Arrow or Feather"],
  ["ORC", "ORC"],
  ["Obj\x01", "Avro"],
  ["GGUF", "GGUF model"],
  ["OggS", "Ogg"],
  ["ID3", "MP3"],
  ["fLaC", "FLAC"],
  ["RIFF", "RIFF (such as WAV, AVI)"],
  ["\x00asm", "WebAssembly"],
  ["\xca\xfe\xba\xbe", "Java class or Mach-O"],
  ["II*\x00", "TIFF"],
  ["MM\x00*", "TIFF"],
];

export function magicOf(bytes: Buffer): string | null {
  const start = bytes.toString("latin1", 0, 64);
  const known = MAGIC.find(([magic]) => start.startsWith(magic));
  if (known !== undefined) return known[1];
  if (bytes.toString("latin1", 257, 262) === "ustar") return "tar archive";
  // Protocols 2 to 5; older ones are text.
  if (bytes[0] === 0x80 && bytes[1]! >= 2 && bytes[1]! <= 5) return "pickle: it can run any code when it is loaded";
  return null;
}
