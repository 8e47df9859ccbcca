import { coap } from "#gateways/coap/index.ts";
import { lwm2m } from "#gateways/lwm2m/index.ts";
import { mqtt } from "#gateways/mqtt/index.ts";
import { mqttSn } from "#gateways/mqtt-sn/index.ts";
import { stomp } from "#gateways/stomp/index.ts";
import { tcp } from "#gateways/tcp/index.ts";
import type { AnyGatewayModule } from "./plans.ts";

/**
 * Every gateway there is, in the order in which they are opened: one that offers parts to another comes before
 * it (LwM2M is served on the CoAP gateway's listeners).
 */
export const MODULES: readonly AnyGatewayModule[] = [mqtt, mqttSn, lwm2m, coap, stomp, tcp];
