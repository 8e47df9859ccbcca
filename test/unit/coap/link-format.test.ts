import { expect, it } from "vitest";
import { formatLinks, parseLinks } from "#gateways/coap/stack/message/link-format.ts";

const read = (text: string) => parseLinks(new TextEncoder().encode(text));

it("reads links with quoted, bare and absent values (RFC 6690 §2)", () => {
  expect(read('</sensors/temp>;if="sensor";ct=41;obs,<coap://h/x>;rt="a b"')).toEqual([
    { target: "/sensors/temp", attributes: { if: "sensor", ct: "41", obs: true } },
    { target: "coap://h/x", attributes: { rt: "a b" } },
  ]);
});

it("reads what devices write: spaces, line breaks, commas and semicolons in quotes, empty values", () => {
  expect(read(' </1> ; ver = 1.1 ,\r\n </a>;title="x;y,<z>\\"q\\"" , </3/0>')).toEqual([
    { target: "/1", attributes: { ver: "1.1" } },
    { target: "/a", attributes: { title: 'x;y,<z>"q"' } },
    { target: "/3/0", attributes: {} },
  ]);
  expect(read("")).toEqual([]);
  expect(read("</>;a=")).toEqual([{ target: "/", attributes: { a: "" } }]);
});

it("takes the first of a repeated attribute (RFC 6690 §2)", () => {
  expect(read("</a>;rt=1;rt=2")).toEqual([{ target: "/a", attributes: { rt: "1" } }]);
});

it.each(["/a", "</a", '</a>;x="y', "</a>b", "<<a>>"])("does not take %s for links", (text) => {
  expect(read(text)).toBeUndefined();
});

it("does not take bytes that are no UTF-8", () => {
  expect(parseLinks(Uint8Array.of(0x3c, 0xff, 0x3e))).toBeUndefined();
});

it("writes links that are read as the same", () => {
  const links = [
    { target: "/a", attributes: { rt: 'a "b" \\c', ct: 40, obs: true as const } },
    { target: "/b" },
  ];
  expect(formatLinks(links)).toBe('</a>;rt="a \\"b\\" \\\\c";ct=40;obs,</b>');
  expect(read(formatLinks(links))?.[0]?.attributes?.["rt"]).toBe('a "b" \\c');
});
