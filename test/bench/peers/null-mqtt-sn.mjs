/** A null gateway: answers each datagram as it must and does nothing else. It shows what the generator can drive. */
import { createSocket } from "node:dgram";
import { nullAnswer } from "../mqtt-sn/wire.mjs";

const socket = createSocket({ type: "udp4", recvBufferSize: 4 << 20 });
socket.on("message", (message, from) => {
  const answer = nullAnswer(message);
  if (answer !== undefined) socket.send(answer, from.port, from.address);
});
socket.bind(Number(process.argv[2]), "127.0.0.1", () => console.log("ready"));
