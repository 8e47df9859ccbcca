/**
 * What the log says from `info` on, by the event that each line carries: one sentence of what has happened.
 * docs/log-lines.md has the same rows with what to do; a test holds both, and the sources, together. A gateway that is
 * a plug-in has events of its own, which are their own words.
 */
export const LOG_LINES = {
  // The process and its configuration
  "account-missing": "nobody has an account yet",
  "api-certificate-reloaded": "the certificate of the HTTP port was read again",
  "api-certificate-reload-failed": "the certificate of the HTTP port was not read again: the former stays",
  "audit-log-failed": "the audit log cannot be written",
  "configuration-reloaded": "the configuration was read again",
  "configuration-reload-failed": "the configuration was not read again: what was in force stays",
  "local-key-failed": "the key for the command line on this machine cannot be written",
  "reload-failed": "a gateway has not taken the new configuration",
  "restart-needed":
    "these changes take effect when the process is started again, or a gateway that was stopped",
  "users-file-reloaded": "a users file was read again",
  "users-file-reload-failed": "a users file was not read again: its former users stay",

  // Workers that share the ports
  "connection-ids-not-steered":
    "DTLS devices with a connection id that change their address may meet another worker: they shake hands again",
  "worker-ended": "a worker has ended, and is started again",
  "worker-started-again": "a worker that had ended is up again",

  // Operators
  alarm: "an alarm was raised",
  "alarm-over": "an alarm is over",
  "more-not-shown": "more of the same was not shown",
  "more-refused": "more was refused, of which no line was written",
  refused: "refused",

  // The store
  "associations-forgotten": "DTLS associations of listeners that are no more were forgotten",
  "clock-was-set": "the machine's clock was set: all times in the store are moved by it",
  "data-folder-rights": "the data folder can or could be read by others",
  "record-unreadable": "a record of the store cannot be read, and is put aside",
  restored: "restored from the store",
  restoring: "restoring from the store",
  "store-failed": "the store cannot write: what it would have to keep is refused",
  "store-works-again": "the store works again: all that waited is committed",

  // Listeners and what arrives at them
  "accept-failed": "a connection could not be accepted",
  "certificate-expired": "a certificate has ended: clients refuse it",
  "certificate-expires-soon": "a certificate ends soon",
  "certificate-reload-failed": "a certificate was not read again: the former stays",
  "certificate-reloaded": "a certificate was read again",
  "connections-refused": "connections were refused: more came at a time than the listener takes",
  "connections-wait": "connections wait unread: more come than the listener takes",
  "datagram-dropped": "a datagram was dropped",
  "dtls-alert": "a DTLS peer has sent an alert",
  "dtls-associated": "a DTLS association was made",
  "dtls-associations-full": "there are as many DTLS associations as may be",
  "dtls-handshake-failed": "a DTLS handshake has failed",
  "dtls-key-log": "the keys of DTLS are written to a file",
  "dtls-keys-reload-failed": "the keys of a DTLS listener were not read again: the former stay",
  "dtls-keys-reloaded": "the keys of a DTLS listener were read again",
  "dtls-restored": "DTLS associations came back from the store",
  "file-descriptors-short": "no file descriptor is left for a connection",
  "handshake-timeout": "a connection has not finished its handshake in time",
  "proxy-protocol-malformed": "a proxy's header is malformed: the connection is closed",
  "tls-handshake-failed": "a TLS handshake has failed",
  "udp-buffer-reduced": "the system gives a UDP socket smaller buffers than asked for",
  "udp-error": "a UDP socket has trouble",
  "tcp-without-epoll": "connections of a TCP listener are Node's: there is no epoll here",
  "udp-unbatched": "a UDP socket takes and gives one datagram a system call: there are no batches here",
  "unproven-displaced": "peers that have proven nothing made way for newer ones",
  "unproven-sessions-ended": "sessions of peers that have proven nothing were ended",
  "websocket-refused": "a request was no WebSocket that this listener speaks",

  // Memory
  "memory-free": "memory is free again",
  "memory-full": "memory is full: who holds the most is ended",
  "memory-refusing": "memory is short: what is new is refused",
  "memory-scarce": "memory becomes scarce: clients are read slower",
  "memory-strangers": "clients that have not logged in held too much memory and were ended",

  // Clients
  "authentication-failed": "an authenticator could not decide about a login",
  "authenticator-trouble": "an authenticator has trouble",
  "channel-failure": "a client's channel failed inside Isthmus and was closed: please report this line",
  "client-removed": "a client was removed: it may not stay under the rules of now",
  disconnected: "a client has gone, or was lost",
  "delivery-dead": "a delivery made its channel fail again and again: it is not handed out any more",
  "delivery-too-large": "a message is larger than its client takes: it is not sent",
  "login-timeout": "a connection has not logged in in time, and was closed",
  malformed: "what a client has sent is malformed",
  "protocol-error": "a client has broken the protocol: its connection is closed",
  "publish-refused": "a publish was refused",
  "queue-full": "messages are dropped: a client's queue is full",
  "session-of-another-user": "a client asked for the session of another user",
  "subscribe-refused": "a subscription was refused",
  "subscriptions-revoked": "subscriptions ended: their client may not read these topics any more",
  "taken-over": "a client connected anew while it was connected: the former connection was ended",

  // Gateways
  "coap-error": "a request by CoAP was answered with an error",
  "commands-refused": "an LwM2M device could not be subscribed to its commands",
  "dead-letter-lost": "a STOMP dead letter was not taken by the bus",
  "definition-unreadable": "a definition of LwM2M objects cannot be read, and is left out",
  "definitions-missing": "the folder of LwM2M object definitions cannot be read",
  "downlink-refused": "a device of the TCP gateway may not be sent anything",
  "firmware-missing": "the folder of firmware cannot be read",
  "firmware-too-large": "a firmware file is larger than the limit, and is left out",
  "firmware-unreadable": "a firmware file cannot be read, and is left out",
  "not-acknowledged": "an MQTT-SN client has not acknowledged a message after all retries",
  "observations-full": "there are as many CoAP observations as may be",
  "register-not-answered": "an MQTT-SN client has not answered a REGISTER",
  "rejected-by-client": "an MQTT-SN client has rejected a message",
  "report-refused": "a report of an LwM2M device was refused by the bus",
  "stomp-error": "a STOMP client was sent an ERROR",
  "too-long": "a message is too long for an MQTT-SN packet: it is not sent",
  "topic-ids-exhausted": "an MQTT-SN client has used up its topic ids: a message is not sent",
  undeliverable: "a message is not in the form that the TCP gateway sends",

  // Plug-ins and hooks
  "hook-failed": "a hook has failed",
  "hook-refused": "a hook has refused",
  "hook-says": "a hook says",
  "plug-in-failure": "a plug-in has failed",
  "plug-in-slow": "a plug-in is slow: all clients wait for it",

  // Rules and connectors
  "came-back": "a message has come back to where it had been before: it goes no further",
  "channel-message-unusable": "what others said on a connector's channel cannot be used",
  "connector-error": "a connector has failed with an error that nobody has thought of",
  "connector-there": "the sink of a connector is there",
  "connector-unchanged": "a connector cannot be opened as it is configured now",
  "connector-unknown": "messages wait for a connector that nobody names any more",
  "dead-letter": "a message could not be given to its sink, and is a dead letter",
  "row-unusable": "a row that a database gave cannot be used",
  "rule-failed": "a rule has failed on a message",
  "rule-output": "a rule's output",

  // Before a broker
  "device-not-kept": "what is known of a device could not be kept where all gateways read it",
  "route-nowhere": "a route leads to a group that is not there: its sessions find no server",
  "server-drain": "a server is being drained, or not any more",
  "server-name-unknown": "the name of a server cannot be resolved",
  "server-unwell": "a server does not answer well: sessions go to others",
  "server-well": "a server answers well again",
  "upstream-broken": "a connection to the broker broke: it is made again",
  "upstream-deaf": "the broker has a client's session and sends it nothing",
  "upstream-delayed-refused": "the broker has refused a message whose time had come",
  "upstream-denied": "the broker has refused a client that was connected before",
  "upstream-redirects": "the broker redirects in circles",
  "upstream-service-denied": "the broker refuses the gateway's own connection",
  "upstream-session-lost": "the broker has lost a client's session",
  "upstream-subscription-refused": "the broker has refused a subscription that it had before",
  "upstream-unfit": "the broker closes whenever it is sent this message: it is refused",
  "upstream-unreachable": "no server of the cluster lets the gateway in: it goes on trying",
} as const;

export type LogEvent = keyof typeof LOG_LINES;

/** The sentence of an event, or the event itself where it is a plug-in's own. */
export const sentenceOf = (event: string): string =>
  Object.hasOwn(LOG_LINES, event) ? LOG_LINES[event as LogEvent] : event;
