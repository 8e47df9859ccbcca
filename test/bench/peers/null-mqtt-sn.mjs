/** A null gateway: answers each datagram as it must and does nothing else. It shows what the generator can drive. */
import { listenUdp } from "../../../dist/src/net/udp.js";
import { nullAnswer } from "../mqtt-sn/wire.mjs";

const options = {
  ...{ transport: /** @type {const} */ ("udp"), bind: "127.0.0.1", port: Number(process.argv[2]) },
  ...{ receiveBuffer: 4 << 20, sendBuffer: 1 << 20, reuseAddress: false, multicast: [], broadcast: false },
};
const socket = await listenUdp(options, (batch) => {
  const answers = [];
  for (const { bytes, address, port, path } of batch) {
    const answer = nullAnswer(bytes);
    if (answer !== undefined) answers.push({ bytes: answer, address, port, path });
  }
  socket.send(answers);
});
console.log("ready");
