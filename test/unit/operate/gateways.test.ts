import { describe, expect, it } from "vitest";
import type { GatewayModule } from "#core/contract/gateway.ts";
import { Lifecycle, type ListenerPlan, type Openers } from "#core/drive/lifecycle.ts";
import { minutes, seconds } from "#core/lib/time.ts";
import type { AcceptStream, DatagramSocket } from "#core/net/transport.ts";
import { GatewayControl, type GatewayPlans } from "#core/operate/gateways.ts";
import { Puppets } from "../../support/puppet.ts";
import { VirtualStream, World } from "../../support/world.ts";

const TRANSPORTS = { tcp: "tcp", udp: "udp" } as const;

/** A gateway `puppet` with a stream and a datagram listener, and `guest`, whose part `puppet` serves. */
function site() {
  const world = new World();
  const order: string[] = [];
  const accepts: AcceptStream[] = [];
  let failing = "";
  const listening = (transport: "tcp" | "udp") => ({
    ...{ transport, address: "127.0.0.1", port: 7, backlog: 0 },
    close: async () => void order.push(`close ${transport}`),
  });
  const openers: Openers = {
    async stream({ transport }, accept) {
      if (failing === transport) throw new Error("port in use");
      accepts.push(accept);
      order.push(`open ${transport}`);
      return listening("tcp");
    },
    async datagram(): Promise<DatagramSocket> {
      order.push("open udp");
      return { ...listening("udp"), send: () => {} };
    },
    defer: (run) => world.defer(run),
    wait: async () => {},
  };
  const lifecycle = new Lifecycle(world.core, world.doors, world.gateways, openers);
  const served: unknown[][] = [];
  const puppets = new Puppets();
  const modules: Record<string, GatewayModule<unknown>> = {
    guest: {
      ...{ name: "guest", schema: {} as never },
      open: () => ({ endpoint: () => puppets, offers: { part: ["guest's"] } }),
    },
    puppet: {
      ...{ name: "puppet", schema: {} as never },
      open: (_config, host) => ({
        endpoint() {
          served.push([...host.offered("part")]);
          return puppets;
        },
        stop: () => void order.push("stop puppet"),
      }),
    },
  };
  const plans: GatewayPlans = {
    names: ["guest", "puppet"],
    enabled: () => true,
    open: (name) => void world.open(modules[name] as GatewayModule<unknown>, {}),
    listeners: (gateway) =>
      gateway !== "puppet"
        ? []
        : (["tcp", "udp"] as const).map((name) => ({
            ...{ name, transport: TRANSPORTS[name], bind: "::", port: 1, opens: name === "tcp" },
            plan: () => ({ gateway, name, ...planOf(name) }) as unknown as ListenerPlan,
          })),
  };
  const control = new GatewayControl(lifecycle, plans, seconds(1));
  const connect = () => {
    const stream = new VirtualStream(world, { transport: "tcp", address: "10.0.0.1", port: 5 });
    stream.receiver = accepts.at(-1)?.(stream);
    return stream;
  };
  const fail = (transport: string) => {
    failing = transport;
  };
  return { world, control, order, puppets, connect, served, fail };
}

const planOf = (name: "tcp" | "udp") =>
  name === "tcp"
    ? { stream: { transport: "tcp" } }
    : { datagram: { transport: "udp", roaming: "anywhere", backlogMax: 2, beaconTo: [] } };

const openOf = (control: GatewayControl) =>
  control
    .listeners()
    .filter(({ open }) => open)
    .map(({ name }) => name);

describe("a gateway", () => {
  it("opens what the configuration wants open, and ends with goodbye to its clients, whose sessions stay", async () => {
    const { world, control, order, puppets, connect } = site();
    expect(await control.start("puppet")).toEqual({ ok: true });
    expect(openOf(control)).toEqual(["tcp"]);
    const device = connect();
    puppets.last.connect("c", { sessionExpiry: minutes(1) });
    expect(control.get("puppet")).toMatchObject({ running: true, connections: 1 });
    expect(await control.stop("puppet")).toEqual({ ok: true });
    expect(puppets.last.log).toContain("stop shutdown");
    expect([device.ended, world.sessions.count]).toEqual([true, 1]);
    expect(order).toEqual(["open tcp", "close tcp", "stop puppet"]);
    expect(control.get("puppet")).toMatchObject({ running: false, connections: 0 });
  });

  it("that is served on the listeners of another has these opened anew when it comes or goes", async () => {
    const { control, order, served } = site();
    await control.start("puppet");
    await control.start("guest");
    expect(control.get("guest")?.servedBy).toEqual(["puppet"]);
    await control.stop("guest");
    expect(order).toEqual(["open tcp", "close tcp", "open tcp", "close tcp", "open tcp"]);
    expect(served).toEqual([[], ["guest's"], []]);
  });

  it("says what is wrong with an order", async () => {
    const { control, fail } = site();
    expect(await control.start("nobody")).toMatchObject({ refusal: "unknown" });
    expect(await control.stop("puppet")).toMatchObject({ refusal: "conflict" });
    fail("tcp");
    expect(await control.start("puppet")).toMatchObject({ refusal: "failed", reason: "port in use" });
    fail("");
    expect(await control.start("puppet")).toMatchObject({ refusal: "conflict" });
    expect(await control.restart("puppet")).toEqual({ ok: true });
  });

  it("obeys one order after the other, in their order", async () => {
    const { control, order } = site();
    const orders = [control.start("puppet"), control.restart("puppet"), control.stop("puppet")];
    expect(await Promise.all(orders)).toEqual([{ ok: true }, { ok: true }, { ok: true }]);
    expect(order.filter((each) => each !== "stop puppet")).toEqual([
      ...["open tcp", "close tcp", "open tcp", "close tcp"],
    ]);
  });
});

describe("a listener", () => {
  it("is opened and closed by itself, while the others stay", async () => {
    const { control, puppets, connect } = site();
    expect(await control.openListener("puppet", "udp")).toMatchObject({ refusal: "conflict" });
    await control.start("puppet");
    expect(await control.openListener("puppet", "udp")).toEqual({ ok: true });
    expect(await control.openListener("puppet", "udp")).toMatchObject({ refusal: "conflict" });
    const device = connect();
    puppets.last.connect("c");
    expect(await control.closeListener("puppet", "udp")).toEqual({ ok: true });
    expect([openOf(control), device.ended]).toEqual([["tcp"], false]);
    expect(await control.closeListener("puppet", "udp")).toMatchObject({ refusal: "conflict" });
    expect(await control.closeListener("puppet", "nobody")).toMatchObject({ refusal: "unknown" });
  });

  it("takes nobody who was still on the way when it was closed", async () => {
    const { control, connect } = site();
    await control.start("puppet");
    await control.closeListener("puppet", "tcp");
    expect(connect().receiver).toBeUndefined();
  });
});
