import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { atEndOfTurn, joinTurns, letOthersIn, takeTurn } from "../../../src/net/turn.ts";

describe("while Node serves many sockets of its own in one round of the loop", () => {
  let now = 1000;
  const leaves: (() => void)[] = [];
  const reader = () => {
    const turn = vi.fn();
    leaves.push(joinTurns(turn));
    return turn;
  };
  /** A socket of Node is served for so long. */
  const serve = (milliseconds: number) => {
    letOthersIn();
    now += milliseconds;
  };
  const nextRound = () => new Promise((resolve) => setImmediate(resolve));

  beforeEach(async () => {
    await nextRound();
    vi.spyOn(performance, "now").mockImplementation(() => now);
  });
  afterEach(() => {
    vi.restoreAllMocks();
    for (const leave of leaves.splice(0)) leave();
  });

  it("those who read from sockets by themselves have a turn after each five milliseconds", () => {
    const turn = reader();
    for (let socket = 0; socket < 12; socket++) serve(1);
    expect(turn).toHaveBeenCalledTimes(2);
  });

  it("they have none of it while that takes less, round by round", async () => {
    const turn = reader();
    for (let round = 0; round < 3; round++) {
      for (let socket = 0; socket < 4; socket++) serve(1);
      await nextRound();
    }
    expect(turn).not.toHaveBeenCalled();
  });

  it("the time that their turns take is not held against them", () => {
    const turn = reader().mockImplementation(() => {
      now += 50;
    });
    for (let socket = 0; socket < 10; socket++) serve(1);
    expect(turn).toHaveBeenCalledTimes(1);
  });

  it("nobody is let into a turn that is under way", () => {
    const turn = reader();
    takeTurn(() => {
      for (let socket = 0; socket < 20; socket++) serve(1);
    });
    expect(turn).not.toHaveBeenCalled();
  });

  it("what they put off to the end of their turn is done before the next socket of Node", () => {
    const told: string[] = [];
    reader().mockImplementation(() =>
      takeTurn(() => {
        atEndOfTurn(() => told.push("end of turn"));
      }),
    );
    serve(6);
    serve(0);
    told.push("socket of Node");
    expect(told).toEqual(["end of turn", "socket of Node"]);
  });

  it("who has left has no turn", () => {
    const turn = reader();
    leaves.pop()?.();
    serve(6);
    serve(0);
    expect(turn).not.toHaveBeenCalled();
  });
});

describe("what is put off outside of a turn", () => {
  let now = 0;
  /** What is to be done when the event loop has come round. */
  let due: (() => void)[] = [];
  const comeRound = (): void => {
    for (const run of due.splice(0)) run();
  };

  beforeEach(() => {
    now = 0;
    due = [];
    vi.spyOn(performance, "now").mockImplementation(() => now);
    vi.spyOn(globalThis, "setImmediate").mockImplementation(((run: () => void) => {
      due.push(run);
    }) as never);
  });
  afterEach(() => {
    while (due.length > 0) comeRound();
    vi.restoreAllMocks();
  });

  /** Puts off so many, each of which takes a millisecond. */
  const putOff = (count: number): number[] => {
    const done: number[] = [];
    for (let index = 0; index < count; index++)
      atEndOfTurn(() => {
        done.push(index);
        now += 1;
      });
    return done;
  };

  it("is done in order, for five milliseconds in each round of the loop", () => {
    const done = putOff(12);
    comeRound();
    expect(done).toEqual([0, 1, 2, 3, 4]);
    comeRound();
    expect(done).toHaveLength(10);
    comeRound();
    expect(done).toEqual(Array.from({ length: 12 }, (_, index) => index));
    expect(due).toEqual([]);
  });

  it("and what that puts off comes behind all of it", () => {
    const done: string[] = [];
    atEndOfTurn(() => {
      done.push("first");
      atEndOfTurn(() => done.push("put off by the first"));
    });
    atEndOfTurn(() => done.push("second"));
    comeRound();
    expect(done).toEqual(["first", "second"]);
    comeRound();
    expect(done).toEqual(["first", "second", "put off by the first"]);
  });

  it("goes on behind one that throws", () => {
    const done: string[] = [];
    atEndOfTurn(() => {
      throw new Error("of a plug-in");
    });
    atEndOfTurn(() => done.push("second"));
    expect(comeRound).toThrow("of a plug-in");
    comeRound();
    expect(done).toEqual(["second"]);
  });
});
