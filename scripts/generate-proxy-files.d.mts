/** Every file as it should be, by its path from the root of the repository. */
export function proxyFiles(): Readonly<Record<string, string>>
