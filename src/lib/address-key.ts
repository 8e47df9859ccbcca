/**
 * An address and port as one text. By `join`, because a template that is kept as a key goes on holding what it was put
 * together from.
 */
export const addressKey = (address: string, port: number): string => [address, port].join(":");
