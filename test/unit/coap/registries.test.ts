import { expect, it } from "vitest";
import { code, formatCode, isError, isRequest, isResponse } from "#gateways/coap/stack/message/codes.ts";
import { contentFormat, mediaType } from "#gateways/coap/stack/message/content-formats.ts";
import { describeOption, isCritical, isNoCacheKey, isUnsafe } from "#gateways/coap/stack/message/options.ts";

it("writes codes in the dotted form and sorts them into classes (RFC 7252 §3, §12.1)", () => {
  expect(formatCode(code(4, 4))).toBe("4.04");
  expect(formatCode(0x45)).toBe("2.05");
  expect([0, 1, 0x1f, 0x20].map(isRequest)).toEqual([false, true, true, false]);
  expect([0x3f, 0x40, 0xbf, 0xc0].map(isResponse)).toEqual([false, true, true, false]);
  expect([0x5f, 0x80, 0xa0, 0xe1].map(isError)).toEqual([false, true, true, false]);
});

it.each([
  // Number, critical, unsafe, not a cache key: RFC 7252 table 4, and the RFCs of the later ones.
  [1, true, false, false],
  [3, true, true, false],
  [4, false, false, false],
  [6, false, true, false],
  [8, false, false, false],
  [12, false, false, false],
  [14, false, true, false],
  [23, true, true, false],
  [28, false, false, true],
  [60, false, false, true],
  [252, false, false, true],
  [258, false, true, false],
  [292, false, false, false],
])(
  "derives the properties of option %i from its number (RFC 7252 §5.4.6)",
  (number, critical, unsafe, noCacheKey) => {
    expect(isCritical(number)).toBe(critical);
    expect(isUnsafe(number)).toBe(unsafe);
    expect(isNoCacheKey(number)).toBe(noCacheKey);
  },
);

it("names options for people", () => {
  expect(describeOption(15)).toBe("Uri-Query (15)");
  expect(describeOption(5)).toBe("If-None-Match (5)");
  expect(describeOption(9999)).toBe("option 9999");
});

it.each([
  [0, "text/plain;charset=utf-8"],
  [40, "application/link-format"],
  [41, "application/xml"],
  [42, "application/octet-stream"],
  [47, "application/exi"],
  [50, "application/json"],
  [60, "application/cbor"],
  [110, "application/senml+json"],
  [112, "application/senml+cbor"],
  [11_542, "application/vnd.oma.lwm2m+tlv"],
  [11_543, "application/vnd.oma.lwm2m+json"],
])("knows Content-Format %i as %s, both ways", (number, type) => {
  expect(mediaType(number)).toBe(type);
  expect(contentFormat(type)).toBe(number);
});

it("recognises media types as people write them", () => {
  expect(contentFormat("text/plain; charset=UTF-8")).toBe(0);
  expect(contentFormat("text/plain")).toBe(0);
  expect(contentFormat(" Application/JSON")).toBe(50);
  expect(contentFormat("application/unheard-of")).toBeUndefined();
  expect(mediaType(64_999)).toBeUndefined();
});

it("lets numbers for experiments through under a name of their own (RFC 7252 §12.3)", () => {
  for (const number of [65_000, 65_535]) expect(contentFormat(mediaType(number) as string)).toBe(number);
  expect(contentFormat("application/x-coap;content-format=12345")).toBeUndefined();
});
