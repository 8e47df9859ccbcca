import type { Group } from "./case.ts";
import { COAP } from "./coap.ts";
import { LWM2M, LWM2M_GUARDED } from "./lwm2m.ts";
import { MQTT } from "./mqtt.ts";
import { MQTT_SN } from "./mqtt-sn.ts";
import { NETWORK } from "./network.ts";
import { RULES } from "./rules.ts";
import { SECURED } from "./secured.ts";
import { STOMP } from "./stomp.ts";
import { UPSTREAM } from "./upstream.ts";

export const GROUPS: readonly Group[] = [
  NETWORK,
  SECURED,
  MQTT,
  MQTT_SN,
  COAP,
  LWM2M,
  LWM2M_GUARDED,
  STOMP,
  UPSTREAM,
  RULES,
];
