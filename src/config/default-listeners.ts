/** What each gateway opens when the configuration says nothing. Data only: a gateway without a line here opens nothing. */
type DefaultListeners = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** Stock clients ask for `/` when nobody tells them a path. */
const MQTT_PATHS = ["/mqtt", "/"];
const STOMP_PATHS = ["/stomp", "/"];

export const DEFAULT_LISTENERS: Readonly<Record<string, DefaultListeners>> = {
  mqtt: {
    tcp: { transport: "tcp", port: 1883 },
    ws: { transport: "ws", port: 8083, websocket: { paths: MQTT_PATHS } },
    tls: { transport: "tls", port: 8883 },
    wss: { transport: "wss", port: 8084, websocket: { paths: MQTT_PATHS } },
  },
  coap: {
    udp: { transport: "udp", port: 5683 },
    dtls: { transport: "dtls", port: 5684 },
    tcp: { transport: "tcp", port: 5683 },
  },
  // LwM2M is CoAP: it is served on the listeners of the CoAP gateway.
  lwm2m: {},
  "mqtt-sn": {
    udp: { transport: "udp", port: 1884 },
    // No port is registered for it; this one is widely used.
    dtls: { transport: "dtls", port: 8883, enable: false },
  },
  tcp: {
    tcp: { transport: "tcp", port: 8090 },
    tls: { transport: "tls", port: 8091 },
  },
  stomp: {
    tcp: { transport: "tcp", port: 61_613 },
    ws: { transport: "ws", port: 8085, websocket: { paths: STOMP_PATHS } },
    tls: { transport: "tls", port: 61_614 },
  },
};
