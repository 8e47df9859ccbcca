/** The STOMP servers that are compared. RabbitMQ is Debian's, with its STOMP plug-in and nothing else. */
import { isthmusMissing, onlyGateway, startIsthmus } from "../lib/isthmus.mjs";
import { freePort } from "../lib/processes.mjs";
import { describeRabbitmq, startRabbitmq } from "../lib/rabbitmq.mjs";

/**
 * @typedef {object} Running
 * @property {number} port
 * @property {number} pid   of the process that does the work
 * @property {() => Promise<void>} stop
 *
 * @typedef {object} Broker
 * @property {string} name
 * @property {string} label
 * @property {string | undefined} missing
 * @property {(profileFolder?: string) => Promise<Running>} start
 */

/** @returns {Broker[]} */
export const brokers = () => [isthmus(), rabbitmq()];

/** @returns {Broker} */
function isthmus() {
  return {
    name: "isthmus",
    label: "Isthmus",
    missing: isthmusMissing(),
    start: async (profileFolder) => {
      const port = await freePort();
      const started = await startIsthmus({
        set: [
          ...onlyGateway("stomp"),
          "gateways.stomp.listeners.tcp.bind=127.0.0.1",
          `gateways.stomp.listeners.tcp.port=${port}`,
          "gateways.stomp.listeners.tcp.limits.connectionRate=unlimited",
          "gateways.stomp.listeners.ws.enable=false",
          "session.queue.messages=100000",
          "session.queue.bytes=256MB",
        ],
        tcpPort: port,
        ...(profileFolder === undefined ? {} : { profileFolder }),
      });
      return { port, pid: started.pid, stop: started.stop };
    },
  };
}

/** @returns {Broker} */
const rabbitmq = () => ({ ...describeRabbitmq(), start: () => startRabbitmq("stomp") });
