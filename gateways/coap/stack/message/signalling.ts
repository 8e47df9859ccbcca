/** Option numbers of signalling messages: each code has a registry of its own (RFC 8323 §5). */
export const CsmOption = { MaxMessageSize: 2, BlockWiseTransfer: 4 } as const;
export const PingOption = { Custody: 2 } as const;
export const AbortOption = { BadCsmOption: 2 } as const;

/** What may be sent before the peer's CSM has said more (RFC 8323 §5.3.1). */
export const MAX_MESSAGE_SIZE_DEFAULT = 1152;
