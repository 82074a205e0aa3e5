import assert from "node:assert/strict";
import { test } from "node:test";
import { parseS3Location } from "./s3-location.ts";

const parse = (text: string) => parseS3Location(text, "BERTH_OBJECTS");

test("a bucket alone is one of AWS, with the region and credentials of the SDK", () => {
  assert.deepEqual(parse("s3://my.bucket-1"), {
    ...{ bucket: "my.bucket-1", prefix: "", endpoint: null, region: null, pathStyle: false, profile: null },
    ...{ directEndpoint: null, direct: true },
  });
});

test("with an endpoint buckets are in the path, unless it is said otherwise", () => {
  const location = parse("s3://b-1/team/a/?endpoint=https://store:9000/&region=eu&profile=p&direct=false");
  assert.deepEqual(location, {
    ...{
      bucket: "b-1",
      prefix: "team/a/",
      endpoint: "https://store:9000",
      region: "eu",
      pathStyle: true,
      profile: "p",
    },
    ...{ directEndpoint: null, direct: false },
  });
  assert.equal(parse("s3://b-1?endpoint=https://store&path-style=false").pathStyle, false);
  assert.equal(
    parse("s3://b-1?endpoint=http://minio:9000&direct-endpoint=https://s3.x.org").directEndpoint,
    "https://s3.x.org",
  );
});

test("what cannot be meant is refused with what is wrong, and without what may be a secret", () => {
  for (const [text, what] of [
    ["s3://Bucket", /"Bucket" cannot be the name of a bucket/],
    ["s3://ab", /"ab" cannot be/],
    ["s3://key:s3cret@bucket", /credentials do not belong here/],
    ["s3://bucket/a/../b/%2e%2e", /prefix/],
    ["s3://bucket/ä", /prefix/],
    ["s3://bucket?regoin=eu", /unknown parameter "regoin"; there are endpoint, region/],
    ["s3://bucket?region=eu&region=us", /given twice/],
    ["s3://bucket?region=", /no value/],
    ["s3://bucket?path-style=yes", /true or false, not "yes"/],
    ["s3://bucket?endpoint=store:9000", /"endpoint" is to be an address/],
    ["s3://bucket?endpoint=https://u:p@store", /"endpoint" is to be an address/],
  ] as const) {
    assert.throws(
      () => parse(text),
      (error: Error) =>
        what.test(error.message) && error.message.startsWith("BERTH_OBJECTS: ") && !/s3cret/.test(error.message),
      text,
    );
  }
});
