// Exit codes of every command. A file of its own: the command line reads it without loading any command.

export const EXIT = { ok: 0, failed: 1, usage: 2, config: 78 } as const
