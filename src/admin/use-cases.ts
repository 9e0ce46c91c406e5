// What the console and its API can do. Each part adds its own member.

export type AdminUseCases = Record<never, never>
