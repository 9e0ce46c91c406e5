export function netboxFolder(env?: Readonly<Record<string, string | undefined>>): string
export function isInstalled(folder?: string): boolean
export function configuration(places: { readonly databaseUrl: string, readonly redisPort: number }): string
