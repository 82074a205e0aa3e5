import assert from "node:assert/strict";
import { test } from "node:test";
import { askedNames } from "../src/asked-names.js";

/** `rows, seed=` for a name with a default; null where the function does not say what it takes. */
function asked(text: string): string | null {
  const found = askedNames(new Function(`return (${text})`)());
  if (found === null) return null;
  const names = found.names.map(({ name, hasDefault }) => (hasDefault ? `${name}=` : name));
  return [...names, ...(found.takesRest ? ["..."] : [])].join(" ");
}

test("names and defaults are read from every form of a function", () => {
  for (const form of ["({ a, b = 1 }) => a", "function f({ a, b = 1 }) {}", "async ({ a, b = 1 }) => a"]) {
    assert.equal(asked(form), "a b=", form);
  }
  assert.equal(asked("async function f ( { a , b = 1 , } ) {}"), "a b=");
  assert.equal(asked("{ f({ a }) {} }.f"), "a");
  assert.equal(asked("() => {}"), "");
  assert.equal(asked("function(){}"), "");
  assert.equal(asked("({ a, ...rest }) => a"), "a ...");
  assert.equal(asked("({}) => 1"), "");
});

test("defaults and inner patterns may hold anything", () => {
  assert.equal(asked(`({ a = { x: [1, 2], y: ({ q, w = 3 }) => q }, b = ", }", c = ')' }) => a`), "a= b= c=");
  assert.equal(asked("({ a: { x, y }, b: [p, q] = [1, 2], c: other, d: { z } = {} }) => x"), "a b= c d=");
  assert.equal(asked(`({ "big-table": rows, 'x"': y = 1 }) => rows`), 'big-table x"=');
  assert.equal(asked("({ a /* , b */, // , c\n d }) => a"), "a d");
  assert.equal(asked("({ a = (x) => x == 1, b }) => a"), "a= b");
});

test("what is not understood is not judged", () => {
  for (const form of [
    "given => given",
    "(given) => given",
    "async given => given",
    "([a]) => a",
    "(...all) => all",
    "({ [x]: y }) => y",
    "({ a = `}` }) => a",
    "({ a = /}/ }) => a",
  ]) {
    assert.equal(asked(form), null, form);
  }
  assert.equal(askedNames(Math.max), null);
});
