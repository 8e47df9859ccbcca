/** Local ports that are chosen here. */
import { expect, test } from "vitest";
import { LocalPorts } from "#core/net/local-ports.ts";

test("ports are taken in turn from wherever it begins, and none is had twice", () => {
  const ports = new LocalPorts({ first: 100, last: 104 }, 0.6);
  expect([1, 2, 3, 4, 5, 6].map(() => ports.take())).toEqual([103, 104, 100, 101, 102, undefined]);
});

test("one that is given back rests until its turn comes", () => {
  const ports = new LocalPorts({ first: 100, last: 103 }, 0);
  expect([ports.take(), ports.take()]).toEqual([100, 101]);
  ports.giveBack(100);
  expect([ports.take(), ports.take(), ports.take(), ports.take()]).toEqual([102, 103, 100, undefined]);
});

test("as many as the system would choose from, where it says so", () => {
  const ports = new LocalPorts();
  let count = 0;
  while (ports.take() !== undefined) count++;
  expect(count).toBeGreaterThan(1000);
  expect(count).toBeLessThan(65_536);
});
