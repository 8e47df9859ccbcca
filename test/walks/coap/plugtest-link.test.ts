/** The ETSI CoAP#4 scenarios TD_COAP_LINK_*. */
import { expect, it } from "vitest";
import { CON, textOption, writeMessage } from "../../support/coap-bytes.ts";
import { bytes, HandClient, type Said } from "../../support/coap-hand.ts";
import { pubsubWorld, stackWorld } from "../../support/coap-site.ts";

function asker(network: ConstructorParameters<typeof HandClient>[0]) {
  const client = new HandClient(network);
  let id = 0;
  return (path: string, ...queries: string[]): Said => {
    const options = [...path.split("/").map((segment) => textOption(11, segment))];
    options.push(...queries.map((query) => textOption(15, query)));
    return client.asks(writeMessage({ type: CON, code: "0.01", id: ++id, token: "01", options }));
  };
}
const targets = (answer: Said): string[] => answer.text.match(/<[^>]*>/g) ?? [];

/** Resources of two types, with and without attributes: /t has two types, /u none but an interface. */
function listed(query: string) {
  const { site, network } = stackWorld();
  const link = (target: string, attributes: Record<string, string | number>) => ({ target, attributes });
  site.links = () => [
    link("/link1", { rt: "Type1 Type2", if: "If1" }) as never,
    link("/link2", { rt: "Type2 Type3", if: "If2", sz: 700 }) as never,
    link("/link3", { rt: "Type1 Type3", if: "foo" }) as never,
    link("/test", { title: "no type" }) as never,
  ];
  const answer = asker(network)(".well-known/core", query);
  expect(answer).toMatchObject({ code: "2.05" });
  expect(answer.option(12)).toBe(40);
  return targets(answer);
}

it("TD_COAP_LINK_01: GET /.well-known/core lists what there is as link-format (RFC 6690 §4)", () => {
  const answer = asker(pubsubWorld().network)(".well-known/core");
  expect(answer).toMatchObject({ code: "2.05" });
  expect(answer.option(12)).toBe(40);
  expect(targets(answer)).toEqual(["</ps>", "</mqtt>", "</mqtt/connection>", "</pubsub>"]);
});

it.each([
  ["TD_COAP_LINK_02", "rt=Type1", ["</link1>", "</link3>"]],
  ["TD_COAP_LINK_03", "rt=*", ["</link1>", "</link2>", "</link3>"]],
  ["TD_COAP_LINK_04", "rt=Type2", ["</link1>", "</link2>"]],
  ["TD_COAP_LINK_05", "if=If*", ["</link1>", "</link2>"]],
  ["TD_COAP_LINK_06", "sz=*", ["</link2>"]],
  ["TD_COAP_LINK_07", "href=/link1", ["</link1>"]],
  ["TD_COAP_LINK_08", "href=/link*", ["</link1>", "</link2>", "</link3>"]],
])("%s: /.well-known/core?%s (RFC 6690 §4.1)", (_id, query, wanted) => {
  expect(listed(query)).toEqual(wanted);
});

it("TD_COAP_LINK_09: a link of ct=40 leads to links below it, and those to what they name (RFC 6690 §5)", () => {
  const { network } = pubsubWorld();
  const client = new HandClient(network, 30_000);
  // POST /pubsub, Content-Format 606, {0: "a", 2: "core.ps.data"}.
  client.asks("41 02 0001 01 b6 'pubsub' 12 025e ff a2 00 61 'a' 02 6c 'core.ps.data'");
  const ask = asker(network);
  const top = ask(".well-known/core", "ct=40");
  expect(targets(top)).toEqual(["</pubsub>"]);
  const below = ask("pubsub");
  expect(below.option(12)).toBe(40);
  const [sub] = targets(below);
  expect(sub).toMatch(/^<\/pubsub\/[0-9a-f]+>$/);
  const topic = ask((sub ?? "").slice(2, -1));
  expect(topic.code).toBe("2.05");
  expect(Buffer.from(topic.payload).includes(Buffer.from(bytes("00 61 'a'")))).toBe(true);
});
