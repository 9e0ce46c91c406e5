export function schemathesisFolder(env?: Readonly<Record<string, string | undefined>>): string
export function isInstalled(folder?: string): boolean
