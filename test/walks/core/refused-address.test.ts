/** First the rule, then the protocol: an address that may not talk to a listener gets no octet and takes nothing. */
import { describe, expect, it } from "vitest";
import { AccessRules } from "#core/policy/access.ts";
import type { ListenerPolicy } from "#core/policy/policy.ts";
import { packet } from "../../support/coap-device.ts";
import { pubsubWorld } from "../../support/coap-site.ts";
import { Lwm2mWorld } from "../../support/lwm2m-world.ts";
import { snWorld } from "../../support/mqtt-sn-device.ts";
import { fc } from "../../support/property.ts";
import type { DatagramNetwork } from "../../support/world.ts";

const WELCOME = "127.0.0.2";
const REFUSED = "127.0.0.3";

function onlyWelcome(): Partial<ListenerPolicy> {
  const rules = new AccessRules([`allow ${WELCOME}`]);
  const judge = ({ address }: { address: string }) => (rules.allows(address) ? "accepted" : "forbidden");
  return { allows: judge, admit: judge };
}

const NETWORKS: Record<string, () => DatagramNetwork> = {
  "mqtt-sn": () => snWorld({}, {}, onlyWelcome()).network,
  coap: () => pubsubWorld({}, { policy: onlyWelcome() }).network,
  lwm2m: () => new Lwm2mWorld({}, { policy: onlyWelcome() }).network,
};

/** Whole messages of which some answer without a channel, and octets as they come. */
const messages = fc.oneof(
  fc.constantFrom(
    // MQTT-SN SEARCHGW, PINGREQ, PINGREQ with a client id, CONNECT, PUBLISH QoS -1.
    ...["030100", "0216", "081664657631 3233", "0a0401003c6465763132", "0c0c620000610000746578"].map((hex) =>
      Buffer.from(hex.replaceAll(" ", ""), "hex"),
    ),
    // CoAP ping, discovery, a publish, an LwM2M registration and its Update.
    Buffer.from("40000001", "hex"),
    packet({ code: "GET", path: ".well-known/core" }),
    packet({ code: "PUT", path: "ps/a", payload: "x" }),
    packet({ code: "POST", path: "rd", query: ["ep=dev", "lt=60", "lwm2m=1.0"], payload: "</1/0>" }),
    packet({ code: "POST", path: "rd/1" }),
    packet({ code: "7.01" }),
  ),
  fc.uint8Array({ minLength: 1, maxLength: 40 }),
);

describe.each(Object.keys(NETWORKS))("%s", (name) => {
  it("answers nothing to an address that may not talk to the listener", () => {
    fc.assert(
      fc.property(fc.array(messages, { maxLength: 8 }), (sent) => {
        const network = NETWORKS[name]!();
        for (const bytes of sent) network.deliver(bytes, REFUSED, 10_000);
        expect([...network.sent.keys()]).toEqual([]);
        expect([network.runtime.peers.count, network.runtime.dropped]).toEqual([0, sent.length]);
      }),
      { numRuns: 50 },
    );
  });
});

it("MQTT-SN: a claim from such an address takes no sleeper and none of its messages (MQTT-SN 1.2 §6.14)", () => {
  const { world, device } = snWorld({}, {}, onlyWelcome());
  const sleeper = device(10_000, WELCOME).asleep("dev", "a/#");
  world.publish("a/1", "for dev", { qos: 1 });
  expect(device(20_000, REFUSED).ping("dev")).toEqual([]);
  expect(sleeper.ping("dev").join()).toContain("a/1");
});
