import assert from "node:assert/strict";
import { test } from "node:test";
import { readNpy, writeNpy } from "../src/types/npy.js";

/** A file as NumPy writes it. */
function npy(header: string, values: Buffer, version = 1): Buffer {
  const padded = `${header.padEnd(117)}\n`;
  const length = Buffer.alloc(version === 1 ? 2 : 4);
  length.writeUIntLE(padded.length, 0, length.length);
  const magic = Buffer.from(`\x93NUMPY${String.fromCharCode(version)}\0`, "latin1");
  return Buffer.concat([magic, length, Buffer.from(padded), values]);
}

test("what is written is read again, with its shape and the type of its values", () => {
  for (const data of [
    new Float32Array([1.5, -2]),
    new Float64Array([Math.PI, Number.NaN]),
    new Int8Array([-1, 1]),
    new Uint16Array([65535, 0]),
    new BigInt64Array([-(2n ** 62n), 1n]),
  ]) {
    const flat = readNpy(writeNpy(data).text);
    assert.deepEqual([flat.data, flat.shape], [data, [2]]);
    const column = readNpy(writeNpy({ data, shape: [2, 1] }).text);
    assert.deepEqual([column.data, column.shape], [data, [2, 1]]);
  }
  const nested = readNpy(
    writeNpy([
      [1, 2, 3],
      [4, 5, 6],
    ]).text,
  );
  assert.deepEqual([nested.data, nested.shape, nested.dtype], [new Float64Array([1, 2, 3, 4, 5, 6]), [2, 3], "<f8"]);
  const booleans = readNpy(writeNpy({ data: new Uint8Array([1, 0]), shape: [2], dtype: "bool" }).text);
  assert.deepEqual([booleans.data, booleans.dtype], [new Uint8Array([1, 0]), "bool"]);
  assert.equal(writeNpy(new Float32Array(3)).text.length % 64, 12, "values begin at a multiple of 64");
});

test("arrays in the order of Fortran, of the other byte order, and scalars are read as any other", () => {
  const columns = npy("{'descr': '|i1', 'fortran_order': True, 'shape': (2, 3), }", Buffer.from([1, 4, 2, 5, 3, 6]));
  assert.deepEqual(readNpy(columns).data, new Int8Array([1, 2, 3, 4, 5, 6]));
  const big = npy("{'descr': '>u2', 'fortran_order': False, 'shape': (2,), }", Buffer.from([1, 0, 0, 2]), 2);
  assert.deepEqual(readNpy(big).data, new Uint16Array([256, 2]));
  const scalar = npy("{'descr': '|u1', 'fortran_order': False, 'shape': (), }", Buffer.from([7]));
  assert.deepEqual([readNpy(scalar).data, readNpy(scalar).shape], [new Uint8Array([7]), []]);
});

test("what is no array, cut off, or of values that are not understood is refused", () => {
  assert.throws(() => readNpy(Buffer.from("a,b\n1,2\n")), /does not begin as an npy file/);
  const objects = npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", Buffer.alloc(8));
  assert.throws(() => readNpy(objects), /values of dtype \|O are not understood/);
  const short = npy("{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }", Buffer.alloc(8));
  assert.throws(() => readNpy(short), /cut off: 16 bytes of values announced, 8 there/);
  assert.throws(() => writeNpy([[1, 2], [3]]), /lists that are all of one length/);
  assert.throws(() => writeNpy({ data: new Float64Array(3), shape: [2, 2] }), /has 4 values, but there are 3/);
  assert.throws(() => writeNpy("x"), /expected a typed array/);
});
