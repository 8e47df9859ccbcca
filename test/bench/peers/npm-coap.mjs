/** The npm package `coap` as a server that keeps what is PUT and gives it to GET: the peer of the CoAP suite. */
import coap from "coap";

/** @type {Map<string, Buffer>} */
const values = new Map();
const server = coap.createServer((request, response) => {
  if (request.method === "PUT") {
    values.set(request.url, request.payload);
    response.code = "2.04";
    response.end();
    return;
  }
  const value = values.get(request.url);
  if (value === undefined) response.code = "4.04";
  response.end(value);
});
server.listen(Number(process.argv[2]), "127.0.0.1", () => console.log("ready"));
