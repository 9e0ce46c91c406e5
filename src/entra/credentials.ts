// How Gatehouse proves itself to the token endpoint.

export interface ClientCredential {
  /** Form parameters of one token request. Never logged. */
  parameters(): Promise<Readonly<Record<string, string>>>
}

export function clientSecretCredential(secret: () => string): ClientCredential {
  return { parameters: async () => ({ client_secret: secret() }) }
}
