import { hashSync } from "bcryptjs";
import { expect, it } from "vitest";
import { bcryptCompare } from "#core/authenticate/bcrypt.ts";

it("tells right from wrong passwords, with every octet that UTF-8 has", async () => {
  const hash = hashSync("pässword\n", 4);
  expect(await bcryptCompare(Buffer.from("pässword\n"), hash)).toBe(true);
  expect(await bcryptCompare(Buffer.from("password"), hash)).toBe(false);
  expect(await bcryptCompare(Buffer.from("x"), "no hash")).toBe(false);
});

it("leaves the main thread alone: its loop turns all the time while four passwords are checked", async () => {
  const hash = hashSync("password", 11);
  let turns = 0;
  let done = false;
  const turn = () => {
    turns++;
    if (!done) setImmediate(turn);
  };
  turn();
  const answers = await Promise.all([1, 2, 3, 4].map(() => bcryptCompare(Buffer.from("password"), hash)));
  done = true;
  expect(answers).toEqual([true, true, true, true]);
  // On this thread the library would leave it one turn for each tenth of a second.
  expect(turns).toBeGreaterThan(200);
});
