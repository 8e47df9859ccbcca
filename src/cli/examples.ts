/** Help texts that teach by example; Commander puts them under the options. */
export const EXAMPLES = `
Examples:
  isthmus start                                   defaults: MQTT on 1883, all protocols on their usual ports
  isthmus start --config /etc/isthmus.yaml        your configuration
  isthmus start --set gateways.mqtt.listeners.tcp.port=2883
  isthmus check-config isthmus.yaml               says which key is wrong, and what is allowed
  isthmus hash-password                           a line for a users file

Try it: isthmus start, then in two other terminals
  mosquitto_sub -t 'rooms/#' -v
  mosquitto_pub -t rooms/kitchen -m 21.5`;

export const START_EXAMPLES = `
Values come from the file, then from the environment (ISTHMUS_LOG__LEVEL=debug), then from --set; the last one wins.
Two signals while it stops end it at once. SIGHUP reads certificates and users again.

Examples:
  isthmus start --log-level debug
  isthmus start --data /var/lib/isthmus --set store.engine=embedded
  isthmus start --set gateways.coap.enable=false --set api.bind=0.0.0.0

Exit codes: 0 stopped, 1 an error with a fix, 2 wrong command line, 3 stopped by force, 70 a bug.`;

export const CHECK_EXAMPLES = `
Examples:
  isthmus check-config
  isthmus check-config /etc/isthmus.yaml --set log.level=loud     shows what is allowed`;

export const HASH_EXAMPLES = `
Examples:
  isthmus hash-password                                 asks, without showing what you type
  printf %s "$PASSWORD" | isthmus hash-password --kind sha256`;

export const STORE_EXAMPLES = `
Examples:
  isthmus store check                   is everything in ./data in order?
  isthmus store stats --data /var/lib/isthmus
  isthmus store export backup.jsonl     while the gateway is stopped
  isthmus store import backup.jsonl --data ./new
`;
