// The format of one NumPy array: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html

const MAGIC = Buffer.from("\x93NUMPY", "latin1");
/** What the header with its data before it is padded to. */
const ALIGNMENT = 64;

/** @type {Readonly<Record<string, any>>} */
const ARRAYS = {
  f4: Float32Array,
  f8: Float64Array,
  i1: Int8Array,
  i2: Int16Array,
  i4: Int32Array,
  i8: BigInt64Array,
  u1: Uint8Array,
  u2: Uint16Array,
  u4: Uint32Array,
  u8: BigUint64Array,
  b1: Uint8Array,
};

/**
 * @typedef {import("../../types/index.d.ts").NpyArray} NpyArray
 */

/**
 * An array of any shape, its values in one typed array in the order of C.
 *
 * @param {Buffer} bytes
 * @returns {NpyArray}
 */
export function readNpy(bytes) {
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) throw new SyntaxError("it does not begin as an npy file");
  const long = bytes[6] !== 1;
  const start = long ? 12 : 10;
  const end = start + (long ? bytes.readUInt32LE(8) : bytes.readUInt16LE(8));
  const header = bytes.toString("latin1", start, end);
  const descr = /'descr':\s*'([^']*)'/.exec(header)?.[1];
  const isFortran = /'fortran_order':\s*True/.test(header);
  const dimensions = /'shape':\s*\(([^)]*)\)/.exec(header)?.[1];
  if (descr === undefined || dimensions === undefined)
    throw new SyntaxError(`the header is not understood: ${header.trim()}`);
  const shape = dimensions
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "")
    .map(Number);
  const [, order, dtype] = /^([<>|=])(.*)$/.exec(descr) ?? [];
  const ArrayOf = ARRAYS[dtype ?? ""];
  if (ArrayOf === undefined) {
    throw new SyntaxError(
      `values of dtype ${descr} are not understood: write floats of 32 or 64 bits, integers or booleans`,
    );
  }
  const count = shape.reduce((product, length) => product * length, 1);
  const size = count * ArrayOf.BYTES_PER_ELEMENT;
  if (bytes.length - end < size)
    throw new SyntaxError(`it is cut off: ${size} bytes of values announced, ${bytes.length - end} there`);
  // A copy, for the values may lie at any place in the file but not in an array.
  const raw = new Uint8Array(bytes.subarray(end, end + size));
  if (order === ">") swapBytes(raw, ArrayOf.BYTES_PER_ELEMENT);
  const data = new ArrayOf(raw.buffer, 0, count);
  return {
    data: isFortran && shape.length > 1 ? toOrderOfC(data, shape, ArrayOf) : data,
    shape,
    dtype: dtype === "b1" ? "bool" : descr,
  };
}

/**
 * @param {Uint8Array} bytes
 * @param {number} width
 */
function swapBytes(bytes, width) {
  for (let start = 0; start < bytes.length; start += width) bytes.subarray(start, start + width).reverse();
}

/**
 * @param {any} data
 * @param {readonly number[]} shape
 * @param {any} ArrayOf
 */
function toOrderOfC(data, shape, ArrayOf) {
  const result = new ArrayOf(data.length);
  // How far apart two values lie whose place differs by one along each axis.
  const strides = shape.map((_, axis) => shape.slice(0, axis).reduce((product, length) => product * length, 1));
  for (let index = 0; index < data.length; index++) {
    let from = 0;
    let rest = index;
    for (const [axis, length] of [...shape.entries()].reverse()) {
      from += (rest % length) * (strides[axis] ?? 0);
      rest = Math.floor(rest / length);
    }
    result[index] = data[from];
  }
  return result;
}

/**
 * Takes what `readNpy` returns, a typed array, or numbers in lists of one length each, which become 64-bit floats.
 *
 * @param {unknown} value
 */
export function writeNpy(value) {
  const { data, shape, bool } = asArray(value);
  const found = Object.entries(ARRAYS).find(
    ([, ArrayOf]) => data instanceof ArrayOf || (Buffer.isBuffer(data) && ArrayOf === Uint8Array),
  );
  if (found === undefined) throw new TypeError(`a ${data.constructor.name} has no dtype that is written here`);
  const dtype = bool ? "b1" : found[0];
  const descr = `${dtype.endsWith("1") ? "|" : "<"}${dtype}`;
  const dimensions = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const header = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${dimensions}), }`;
  // With the magic and its length before it, and a line break at its end.
  const length = Math.ceil((10 + header.length + 1) / ALIGNMENT) * ALIGNMENT - 10;
  const padded = `${header.padEnd(length - 1)}
`;
  const prefix = Buffer.alloc(10);
  MAGIC.copy(prefix);
  prefix[6] = 1;
  prefix.writeUInt16LE(padded.length, 8);
  const text = Buffer.concat([
    ...[prefix, Buffer.from(padded, "latin1")],
    Buffer.from(data.buffer, data.byteOffset, data.byteLength),
  ]);
  return { text, schema: { shape, dtype: bool ? "bool" : descr } };
}

/**
 * @param {unknown} value
 * @returns {{ data: any, shape: readonly number[], bool: boolean }}
 */
function asArray(value) {
  if (ArrayBuffer.isView(value) && !(value instanceof DataView)) {
    return { data: value, shape: [/** @type {Uint8Array} */ (value).length], bool: false };
  }
  if (Array.isArray(value)) return fromLists(value);
  const { data, shape, dtype } = /** @type {Partial<NpyArray>} */ (
    typeof value === "object" && value !== null ? value : {}
  );
  if (data === undefined || !ArrayBuffer.isView(data) || !Array.isArray(shape)) {
    throw new TypeError("expected a typed array, lists of numbers, or { data, shape }");
  }
  const count = shape.reduce((product, length) => product * length, 1);
  if (count !== data.length)
    throw new TypeError(`a shape of ${shape.join(" × ")} has ${count} values, but there are ${data.length}`);
  return { data, shape, bool: dtype === "bool" };
}

/** @param {readonly unknown[]} list */
function fromLists(list) {
  const shape = [];
  for (let level = /** @type {unknown} */ (list); Array.isArray(level); level = level[0]) shape.push(level.length);
  const flat = /** @type {unknown[]} */ (list.flat(/** @type {any} */ (shape.length)));
  const count = shape.reduce((product, length) => product * length, 1);
  if (flat.length !== count || flat.some((item) => typeof item !== "number")) {
    throw new TypeError("expected numbers in lists that are all of one length");
  }
  return { data: Float64Array.from(/** @type {number[]} */ (flat)), shape, bool: false };
}
