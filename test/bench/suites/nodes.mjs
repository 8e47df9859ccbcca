/** The MQTT rows of Isthmus alone, under each line of Node that it runs on, in one run. */
import { installNode, OTHER_VERSIONS } from "../../support/node-versions.mjs";
import { onOtherNode } from "../mqtt/brokers.mjs";
import { suite as mqtt } from "./mqtt.mjs";

export const suite = {
  title: "Isthmus on other lines of Node",
  scenarios: mqtt.scenarios,
  run: (/** @type {import("../lib/options.mjs").Options} */ options) => {
    for (const major of OTHER_VERSIONS) installNode(major);
    return mqtt.run({ ...options, peers: ["isthmus", ...OTHER_VERSIONS.map(onOtherNode), "null"] });
  },
};
