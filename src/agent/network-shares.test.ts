import assert from "node:assert/strict";
import { test } from "node:test";
import { NetworkShares } from "./network-shares.ts";

test("attempts one after the other have the network for themselves, those beside each other never", () => {
  const shares = new NetworkShares();
  shares.enter("first", { isNew: true });
  assert.equal(shares.isAlone("first"), true);
  shares.leave("first");
  shares.enter("second", { isNew: true });
  assert.equal(shares.isAlone("second"), true);
  shares.enter("third", { isNew: true });
  shares.leave("second");
  assert.equal(shares.isAlone("third"), false, "it was not alone when it began");
});

test("one that was alone until another came was not alone", () => {
  const shares = new NetworkShares();
  shares.enter("first", { isNew: true });
  shares.enter("second", { isNew: true });
  shares.leave("second");
  assert.equal(shares.isAlone("first"), false);
});

test("what an earlier process began may have been with others, and is with those that begin now", () => {
  const shares = new NetworkShares();
  shares.enter("old", { isNew: false });
  shares.enter("old", { isNew: true });
  shares.enter("new", { isNew: true });
  assert.deepEqual([shares.isAlone("old"), shares.isAlone("new")], [false, false]);
});

test("one without a network shares it with nobody", () => {
  assert.equal(new NetworkShares().isAlone("offline"), true);
});
