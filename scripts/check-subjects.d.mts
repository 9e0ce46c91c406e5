export function fault(subject: string): string | undefined
