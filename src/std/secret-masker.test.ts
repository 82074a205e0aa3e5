import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import fc from "fast-check";
import { MaskStream } from "./mask-stream.ts";
import { MASKED_MIN_BYTES, secretForms } from "./secret-forms.ts";
import { SecretMasker, starred } from "./secret-masker.ts";

const TOKEN = "p@ss 'word'/ü+\"1$x";
const KEY = `-----BEGIN PRIVATE KEY-----\n${"MIIEvQIBADANBgkqhkiG9w0BAQEFAASC".repeat(3)}\nq83v0lMp\n-----END PRIVATE KEY-----\n`;

function masked(secret: string | Buffer, text: string): string {
  return new SecretMasker([Buffer.from(secret)]).text(text);
}

test("a secret is found inside of text, and what stands for it does not tell how long it is", () => {
  assert.equal(masked("hunter2-token", "a hunter2-token, hunter2-tokenhunter2-token."), "a ***, ***.");
  assert.equal(masked("hunter2-token", "hunter2-toke, Hunter2-token"), "hunter2-toke, Hunter2-token");
});

test("overlapping secrets are masked to the end of the last of them", () => {
  const masker = new SecretMasker([Buffer.from("abcdefgh"), Buffer.from("efghijkl"), Buffer.from("abcdefghijklmnop")]);
  assert.equal(masker.text("-abcdefghijkl-"), "-***-");
  assert.equal(masker.text("-abcdefghijklmnop-"), "-***-");
});

test("a value below the least length is not masked, blank space around it not counted", () => {
  assert.equal(MASKED_MIN_BYTES, 6);
  assert.equal(masked("short", "a short one"), "a short one");
  assert.equal(masked("  tiny\n\n", "a tiny one  tiny\n\n"), "a tiny one  tiny\n\n");
  assert.equal(masked("enough", "that is enough"), "that is ***");
});

test("each line of a secret of several lines is masked, and the whole of it", () => {
  assert.equal(masked(KEY, `key: ${KEY}end`), "key: ***\nend");
  assert.equal(masked(KEY, "  | q83v0lMp |"), "  | *** |");
  assert.equal(masked("first line\r\nsecond line\r\n", "> first line\n> second line\n"), "> ***\n> ***\n");
});

/** How a secret is written, by other programs where they are in every system, and what is shown of that. */
const WRITTEN: Readonly<Record<string, readonly [write: (secret: string) => string, shown: RegExp]>> = {
  "as it is": [(secret) => `${secret};`, /^\*\*\*;$/],
  "in base64": [base64, /^\*\*\*$/],
  "in base64, after one byte": [(secret) => base64(`:${secret}`), /^.{2}\*\*\*$/],
  "in base64, after two bytes": [(secret) => base64(`u:${secret}`), /^.{3}\*\*\*$/],
  "in base64, between others": [(secret) => base64(`me:${secret}@host`), /^.{4}\*\*\*.{6,8}$/],
  "in base64 without padding": [(secret) => base64(secret).replace(/=+$/, ""), /^\*\*\*$/],
  "in base64 for URLs": [(secret) => Buffer.from(`>>?${secret}`).toString("base64url"), /^Pj4_\*\*\*$/],
  "in base64, in lines": [(secret) => run("base64", [], secret), /^\*\*\*\n(\*\*\*\n)?$/],
  "in base64, in lines of PEM": [(secret) => run("base64", ["-w64"], secret), /^\*\*\*\n(\*\*\*\n)?$/],
  "in hexadecimal": [(secret) => Buffer.from(secret).toString("hex"), /^\*\*\*$/],
  "in hexadecimal, upper case": [(secret) => Buffer.from(secret).toString("hex").toUpperCase(), /^\*\*\*$/],
  "in a URL": [(secret) => `https://x:${encodeURIComponent(secret)}@host/`, /^https:\/\/x:\*\*\*@host\/$/],
  "in a URL, lower case": [
    (secret) => encodeURIComponent(secret).replace(/%../g, (hex) => hex.toLowerCase()),
    /^\*\*\*$/,
  ],
  "in a form": [(secret) => new URLSearchParams({ key: secret }).toString(), /^key=\*\*\*$/],
  "in JSON": [(secret) => JSON.stringify({ key: secret }), /^\{"key":"\*\*\*"\}$/],
  "in ASCII JSON": [
    (secret) =>
      JSON.stringify(secret).replace(/[^ -~]/g, (character) => `\\u00${character.charCodeAt(0).toString(16)}`),
    /^"\*\*\*"$/,
  ],
  "in JSON in JSON": [
    (secret) => JSON.stringify({ body: JSON.stringify({ key: secret }) }),
    /^\{"body":"\{\\"key\\":\\"\*\*\*\\"\}"\}$/,
  ],
  "in a shell's trace": [
    (secret) => run("bash", ["-c", 'eval "$(cat)" 2>&1'], `set -x; : '${secret.replaceAll("'", "'\\''")}'`),
    /^\++ : '?\*\*\*'?\n$/,
  ],
  "quoted for a shell": [(secret) => run("bash", ["-c", 'printf "%q" "$(cat)"'], secret), /^\*\*\*$/],
};

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}

function run(program: string, args: readonly string[], input: string): string {
  return execFileSync(program, args, { input, encoding: "utf8", env: { ...process.env, LC_ALL: "C.UTF-8" } });
}

for (const [how, [write, shown]] of Object.entries(WRITTEN)) {
  for (const secret of [TOKEN, "plain-Token_0123456789", TOKEN.repeat(4)]) {
    test(`a secret of ${secret.length} characters is masked that is written ${how}`, () => {
      assert.match(masked(secret, write(secret)), shown);
    });
  }
}

const BYTES = fc.uint8Array({ minLength: 1, maxLength: 24 });
/** Of few letters, so that secrets overlap with each other, with themselves, and with what is around them. */
const WORD = fc
  .array(fc.constantFrom("a", "a", "b", "\n"), { minLength: 1, maxLength: 20 })
  .map((letters) => Buffer.from(letters.join("")));

test("wherever a stream is cut, what goes out is what the whole gives", () => {
  const secrets = fc.array(
    fc.oneof(
      WORD,
      BYTES.map((bytes) => Buffer.from(bytes)),
    ),
    { minLength: 1, maxLength: 4 },
  );
  fc.assert(
    fc.property(
      secrets,
      fc.array(fc.nat(5), { maxLength: 30 }),
      WORD,
      fc.array(fc.nat(30), { maxLength: 12 }),
      (known, picks, filler, cuts) => {
        const forms = known.flatMap((secret) => [secret, ...secretForms(secret)]);
        const text = Buffer.concat(picks.map((pick) => (pick === 0 ? filler : forms[(pick * 7) % forms.length]!)));
        const masker = new SecretMasker(known);
        const stream = new MaskStream(() => masker);
        const parts: Buffer[] = [];
        let from = 0;
        for (const cut of cuts) {
          parts.push(stream.write(text.subarray(from, from + cut)));
          from = Math.min(text.length, from + cut);
        }
        parts.push(stream.write(text.subarray(from)), stream.end());
        assert.deepEqual(Buffer.concat(parts), starred(text, masker.findLast(text)));
      },
    ),
    { numRuns: 2_000, seed: 20_261_201 },
  );
});

test("what is found is what a search for each form by itself finds", () => {
  fc.assert(
    fc.property(fc.array(WORD, { minLength: 1, maxLength: 4 }), fc.array(WORD, { maxLength: 20 }), (known, words) => {
      const text = Buffer.concat(words);
      const expected = Buffer.from(text);
      for (const form of known.flatMap((secret) => secretForms(secret))) {
        for (let at = text.indexOf(form); at >= 0; at = text.indexOf(form, at + 1)) {
          for (let index = at; index < at + form.length; index++) if (text[index] !== 0x0a) expected[index] = 0x2a;
        }
      }
      assert.equal(starred(text, new SecretMasker(known).find(text).covered).toString(), expected.toString());
    }),
    { numRuns: 2_000, seed: 20_261_202 },
  );
});

test("all that a stream holds back is the beginning of a secret, and at its end that is masked where it is long enough", () => {
  const masker = new SecretMasker([Buffer.from("hunter2-token")]);
  const stream = new MaskStream(() => masker);
  assert.equal(stream.write(Buffer.from("progress 7\nhunter")).toString(), "progress 7\n");
  assert.equal(stream.write(Buffer.from("s\nhunter2-to")).toString(), "hunters\n");
  assert.equal(stream.end().toString(), "**********");
  assert.equal(stream.write(Buffer.from("hunt")).toString(), "");
  assert.equal(stream.end().toString(), "hunt");
});

test("a secret that becomes known while its beginning is held back is masked with what was held", () => {
  let masker = new SecretMasker([Buffer.from("abcdefgh")]);
  const stream = new MaskStream(() => masker);
  assert.equal(stream.write(Buffer.from("-abcdef")).toString(), "-");
  masker = new SecretMasker([Buffer.from("abcdefgh"), Buffer.from("bcdefXYZ")]);
  assert.equal(stream.write(Buffer.from("XYZ-")).toString(), "a********-");
});

test("text that was cut off is masked up to the cut", () => {
  const masker = new SecretMasker([Buffer.from("a-very-long-token")]);
  assert.equal(masker.text("long-token is refused: a-very-lo", { atStart: true, atEnd: true }), "*** is refused: ***");
  assert.equal(masker.text("long-token is refused: a-very-lo"), "long-token is refused: a-very-lo");
});

test("a secret of 64 KiB is masked in any form, and what is kept of it is a few times its size", () => {
  const secret = Buffer.from(Array.from({ length: 64 * 1024 }, (_, index) => (1 + index * 131 + (index >> 7)) % 256));
  const masker = new SecretMasker([secret]);
  for (const text of [secret.toString("hex"), secret.toString("base64url")])
    assert.equal(masker.text(`<${text}>`).length, 5);
  assert.ok(secretForms(secret).reduce((sum, { length }) => sum + length, 0) < 100 * secret.length);
});
