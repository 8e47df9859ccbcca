/** The CoAP Content-Formats registry (RFC 7252 §12.3) and its media types, both ways. */

export const ContentFormat = {
  Text: 0,
  Link: 40,
  XML: 41,
  OctetStream: 42,
  EXI: 47,
  JSON: 50,
  CBOR: 60,
  SenMLJSON: 110,
  SenMLCBOR: 112,
  SenMLETCHJSON: 320,
  SenMLETCHCBOR: 322,
  /** application/core-pubsub+cbor: to be assigned, 606 is what draft-ietf-core-coap-pubsub-21 suggests. */
  PubSubCBOR: 606,
  LwM2MTLV: 11542,
  LwM2MJSON: 11543,
  LwM2MCBOR: 11544,
  /** Numbers used before the registration; devices in the field still send them. */
  OldLwM2MText: 1541,
  OldLwM2MTLV: 1542,
  OldLwM2MJSON: 1543,
} as const;

const REGISTRY: readonly (readonly [number, string])[] = [
  [0, "text/plain;charset=utf-8"],
  [16, 'application/cose;cose-type="cose-encrypt0"'],
  [17, 'application/cose;cose-type="cose-mac0"'],
  [18, 'application/cose;cose-type="cose-sign1"'],
  [19, "application/ace+cbor"],
  [21, "image/gif"],
  [22, "image/jpeg"],
  [23, "image/png"],
  [40, "application/link-format"],
  [41, "application/xml"],
  [42, "application/octet-stream"],
  [47, "application/exi"],
  [50, "application/json"],
  [51, "application/json-patch+json"],
  [52, "application/merge-patch+json"],
  [60, "application/cbor"],
  [61, "application/cwt"],
  [62, "application/multipart-core"],
  [63, "application/cbor-seq"],
  [64, "application/edhoc+cbor-seq"],
  [65, "application/cid-edhoc+cbor-seq"],
  [96, 'application/cose;cose-type="cose-encrypt"'],
  [97, 'application/cose;cose-type="cose-mac"'],
  [98, 'application/cose;cose-type="cose-sign"'],
  [101, "application/cose-key"],
  [102, "application/cose-key-set"],
  [110, "application/senml+json"],
  [111, "application/sensml+json"],
  [112, "application/senml+cbor"],
  [113, "application/sensml+cbor"],
  [114, "application/senml-exi"],
  [115, "application/sensml-exi"],
  [140, "application/yang-data+cbor;id=sid"],
  [256, "application/coap-group+json"],
  [257, "application/concise-problem-details+cbor"],
  [258, "application/swid+cbor"],
  [259, "application/pkixcmp"],
  [271, "application/dots+cbor"],
  [272, "application/missing-blocks+cbor-seq"],
  [280, "application/pkcs7-mime;smime-type=server-generated-key"],
  [281, "application/pkcs7-mime;smime-type=certs-only"],
  [284, "application/pkcs8"],
  [285, "application/csrattrs"],
  [286, "application/pkcs10"],
  [287, "application/pkix-cert"],
  [290, "application/aif+cbor"],
  [291, "application/aif+json"],
  [310, "application/senml+xml"],
  [311, "application/sensml+xml"],
  [320, "application/senml-etch+json"],
  [322, "application/senml-etch+cbor"],
  [340, "application/yang-data+cbor"],
  [341, "application/yang-data+cbor;id=name"],
  [432, "application/td+json"],
  [433, "application/tm+json"],
  [606, "application/core-pubsub+cbor"],
  [10000, "application/vnd.ocf+cbor"],
  [10001, "application/oscore"],
  [10002, "application/javascript"],
  [11050, "application/json;deflate"],
  [11060, "application/cbor;deflate"],
  [11542, "application/vnd.oma.lwm2m+tlv"],
  [11543, "application/vnd.oma.lwm2m+json"],
  [11544, "application/vnd.oma.lwm2m+cbor"],
  [20000, "text/css"],
  [30000, "image/svg+xml"],
];

const normal = (mediaType: string): string =>
  mediaType
    .toLowerCase()
    .replace(/\s*;\s*/g, ";")
    .trim();

const MEDIA_TYPES = new Map<number, string>(REGISTRY);
const NUMBERS = new Map<string, number>(REGISTRY.map(([number, type]) => [normal(type), number]));
NUMBERS.set("text/plain", ContentFormat.Text);
NUMBERS.set("application/json;charset=utf-8", ContentFormat.JSON);

/** From here on anybody may use a number for what he likes (RFC 7252 §12.3): it has no media type but its own. */
const EXPERIMENTAL_FROM = 65_000;
const EXPERIMENTAL = /^application\/x-coap;content-format=(\d{5})$/;

/** `application/json` for 50; undefined when the number is not registered. */
export const mediaType = (contentFormat: number): string | undefined =>
  contentFormat >= EXPERIMENTAL_FROM
    ? `application/x-coap;content-format=${contentFormat}`
    : MEDIA_TYPES.get(contentFormat);

/** 50 for `application/json`, whatever its case or spacing; undefined when it has no number. */
export function contentFormat(type: string): number | undefined {
  const known = NUMBERS.get(normal(type));
  if (known !== undefined) return known;
  const experimental = EXPERIMENTAL.exec(normal(type))?.[1];
  return experimental === undefined || Number(experimental) < EXPERIMENTAL_FROM
    ? undefined
    : Number(experimental);
}
