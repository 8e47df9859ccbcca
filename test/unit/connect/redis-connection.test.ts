import { getEventListeners } from "node:events";
import { describe, expect, it } from "vitest";
import { connectRedis } from "#core/lib/redis.ts";
import { freeTcpPort } from "../../support/free-ports.ts";
import { MANNERS } from "../../support/greetings.ts";
import { RubbishServer } from "../../support/rubbish-server.ts";
import { until } from "../../support/store-process.ts";

const placeAt = (port: number) => ({ host: "127.0.0.1", port, timeout: 30_000 }) as never;

describe("a connection to Redis leaves nobody behind who waits for the end of its connector", () => {
  const { signal } = new AbortController();
  const listeners = () => getEventListeners(signal, "abort").length;

  it("when nobody is there", async () => {
    const place = placeAt(await freeTcpPort());
    for (let count = 0; count < 3; count++)
      await expect(connectRedis(place, undefined, signal)).rejects.toMatchObject({ code: "ECONNREFUSED" });
    expect(listeners()).toBe(0);
  });

  it("when it has ended", async () => {
    const server = await new RubbishServer("silence", MANNERS["redis"], 0).start();
    try {
      const connection = await connectRedis(placeAt(server.port), undefined, signal);
      expect(listeners()).toBe(1);
      for (const socket of server.sockets) socket.destroy();
      await until(() => connection.status === "end", "it has ended");
      expect(listeners()).toBe(0);
    } finally {
      await server.stop();
    }
  });
});
