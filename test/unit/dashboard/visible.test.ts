import { expect, it } from "vitest";
import { readFilter } from "../../../src/dashboard/lib/clients.ts";
import { middle, plain } from "../../../src/dashboard/lib/visible.ts";

it.each([
  ["a\u202egnp.exe", "a<U+202E>gnp.exe"],
  ["\u0000\u001b[2J\u0085", "<U+0000><U+001B>[2J<U+0085>"],
  ["zero\u200bwidth\ufeff\u2066", "zero<U+200B>width<U+FEFF><U+2066>"],
  ["lone \ud800 half \udc00", "lone <U+D800> half <U+DC00>"],
  ["tag \u{e0041}", "tag <U+E0041>"],
  ["plain ÄÖ 漢字 😀", "plain ÄÖ 漢字 😀"],
])("%j is shown as what it is", (from, to) => {
  expect(plain(from)).toBe(to);
});

it("cuts in the middle, and never a pair of surrogates", () => {
  expect(middle("abcdefghij", 5)).toBe("ab…ij");
  expect(middle("😀😀😀😀😀😀", 3)).toBe("😀…😀");
  expect(middle("short", 32)).toBe("short");
});

it("reads a filter's words, and names the ones there are for a wrong one", () => {
  expect(readFilter("gateway:mqtt-sn heard:>1h waiting:>0 id:pump* ")).toEqual({
    filter: { gateway: "mqtt-sn", heard: "1h", waitingOver: "0", prefix: "pump" },
  });
  expect(readFilter("colour:red").problem).toContain("gateway, state, user");
  expect(readFilter("waiting:3").problem).toContain("waiting:>0");
});
