import { describe, expect, it } from "vitest";
import { SinkFailure } from "#core/connect/connector.ts";
import { HeldConnection } from "#core/connect/held-connection.ts";

const away = new SinkFailure("away", true);

describe("a connection that is held", () => {
  const opened = (open: (unwanted: AbortSignal) => Promise<string>) => {
    const [signals, closed]: [AbortSignal[], string[]] = [[], []];
    const held = new HeldConnection<string>({
      open(_, unwanted) {
        signals.push(unwanted);
        return open(unwanted);
      },
      close: (name) => closed.push(name),
      failureOf: (error) => error as SinkFailure,
    });
    return { held, signals, closed };
  };
  const soon = () => AbortSignal.timeout(60_000);

  it("is told of each try that nobody waits for it any more, so that what listens goes with that try", async () => {
    const { held, signals } = opened(() => Promise.reject(away));
    for (let count = 0; count < 3; count++) await expect(held.use(soon(), async () => {})).rejects.toBe(away);
    expect(new Set(signals).size).toBe(3);
    expect(signals.every(({ aborted }) => aborted)).toBe(true);
  });

  it("that is being made when the time is over is not wanted, and closed when it comes all the same", async () => {
    let come: (name: string) => void = () => {};
    const { held, signals, closed } = opened(() => new Promise((resolve) => (come = resolve)));
    const stop = new AbortController();
    const used = held.use(stop.signal, async () => {});
    stop.abort();
    await expect(used).rejects.toMatchObject({ message: "it does not answer in time", heals: true });
    expect(signals[0]!.aborted).toBe(true);
    come("late");
    await new Promise((resolve) => setImmediate(resolve));
    expect(closed).toEqual(["late"]);
  });

  it("that works is wanted until it is closed", async () => {
    const { held, signals, closed } = opened(async () => "one");
    expect(await held.use(soon(), async (name) => `${name} used`)).toBe("one used");
    expect(signals[0]!.aborted).toBe(false);
    await held.close();
    expect([signals[0]!.aborted, closed]).toEqual([true, ["one"]]);
  });
});
