export function proxiesFolder(env?: Readonly<Record<string, string | undefined>>): string
