export function composeImages(env?: NodeJS.ProcessEnv): string
export const COMPOSE_IMAGES: Readonly<Record<string, readonly string[]>>
