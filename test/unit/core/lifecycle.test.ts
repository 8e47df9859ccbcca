import { describe, expect, it } from "vitest";
import { Doors } from "#core/door/doors.ts";
import { Lifecycle, type ListenerPlan, type Openers } from "#core/drive/lifecycle.ts";
import { seconds } from "#core/lib/time.ts";
import type { AcceptStream, DatagramSocket, ReceiveDatagrams } from "#core/net/transport.ts";
import type { Policy } from "#core/policy/policy.ts";
import { Puppets, text } from "../../support/puppet.ts";
import { permissive, VirtualStream, World } from "../../support/world.ts";

/** A lifecycle whose sockets are arrays; `order` tells what happened when. */
function site() {
  const world = new World();
  const order: string[] = [];
  const asked: string[] = [];
  const waits = { length: 0 };
  let accept: AcceptStream = () => undefined;
  let receive: ReceiveDatagrams = () => {};
  const sent: string[] = [];
  const listening = (transport: "tcp" | "udp") => ({
    transport,
    address: "127.0.0.1",
    port: 1,
    backlog: 0,
    close: async () => void order.push(`close ${transport}`),
  });
  const openers: Openers = {
    stream: async (_options, given) => {
      accept = given;
      return listening("tcp");
    },
    datagram: async (_options, given): Promise<DatagramSocket> => {
      receive = given;
      const send = (batch: readonly { bytes: Uint8Array }[]) =>
        void sent.push(...batch.map(({ bytes }) => Buffer.from(bytes).toString()));
      return { ...listening("udp"), send };
    },
    defer: (run) => world.defer(run),
    wait: async (length) => {
      waits.length += length;
    },
  };
  const policy: Policy = {
    listener: (gateway, listener, host) => {
      asked.push(`${gateway} ${listener} ${host}`);
      return permissive(gateway);
    },
  };
  const lifecycle = new Lifecycle(world.core, new Doors(world.core, policy), world.gateways, openers);
  const puppets = new Puppets();
  puppets.prepare = (puppet) => {
    puppet.onStop = (reason) => {
      order.push(`stop ${reason}`);
      puppet.host.send(text("bye"));
    };
  };
  world.open(
    {
      name: "puppet",
      schema: {} as never,
      open: () => ({ endpoint: () => puppets, stop: () => void order.push("gateway") }),
    },
    {},
  );
  const open = (plan: Partial<ListenerPlan>) =>
    lifecycle.open({ gateway: "puppet", name: "l", ...plan } as ListenerPlan);
  return {
    ...{ world, lifecycle, puppets, order, asked, sent, open, waits },
    connect: () => {
      const stream = new VirtualStream(world, { transport: "tcp", address: "10.0.0.1", port: 5 });
      stream.receiver = accept(stream);
      return stream;
    },
    datagram: (payload: string, port: number) =>
      receive([{ bytes: text(payload), address: "10.0.0.1", port }]),
  };
}

const stream = { transport: "tcp" } as NonNullable<ListenerPlan["stream"]>;
const datagram = {
  transport: "udp",
  roaming: "anywhere",
  backlogMax: 2,
  beaconTo: [],
} as unknown as NonNullable<ListenerPlan["datagram"]>;

describe("stopping", () => {
  it("closes stream listeners, lets everybody hear goodbye, then closes datagram sockets and the gateways", async () => {
    const { lifecycle, order, sent, open, connect, datagram: send } = site();
    await open({ stream });
    await open({ datagram });
    const device = connect();
    send("x", 7);
    await lifecycle.stop(seconds(1));
    expect(order).toEqual(["close tcp", "stop shutdown", "stop shutdown", "close udp", "gateway"]);
    expect(Buffer.from(device.takeBytes()).toString()).toBe("bye");
    expect([device.ended, sent]).toEqual([true, ["bye"]]);
  });

  it("waits no longer than it may for those that do not take their goodbye", async () => {
    const { lifecycle, open, waits } = site();
    await open({ stream });
    for (const { door } of lifecycle.listeners) door.closing = 1;
    await lifecycle.stop(seconds(1));
    expect(waits.length).toBeGreaterThanOrEqual(1000);
    expect(waits.length).toBeLessThan(1100);
  });
});

describe("a listener", () => {
  it("that serves a second gateway asks for that one's rules under its own name", async () => {
    const { lifecycle, puppets, asked, open, connect } = site();
    await open({ stream });
    connect();
    puppets.last.connect("c", { gateway: "guest" });
    expect(asked).toEqual(["puppet l puppet", "guest l puppet"]);
    await lifecycle.stop(seconds(1));
  });

  it("drops and counts datagrams beyond its backlog", async () => {
    const { lifecycle, puppets, sent, open, datagram: receive } = site();
    await open({ datagram });
    puppets.prepare = (puppet) => {
      puppet.onReceive = () => {
        for (const each of ["1", "2", "3"]) puppet.host.send(text(each));
      };
    };
    receive("x", 7);
    expect(sent).toEqual(["1", "2"]);
    expect(lifecycle.listeners[0]?.datagrams?.unsent).toBe(1);
  });
});
