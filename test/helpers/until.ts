// Waiting for what comes by itself, without an assertion on how soon.
import { setTimeout as sleep } from 'node:timers/promises'

const EVERY_MS = 250

/** @returns whether it came true within two minutes */
export async function until(holds: () => boolean | Promise<boolean>, withinMs = 120_000): Promise<boolean> {
  const deadline = Date.now() + withinMs
  for (;;) {
    if (await holds()) return true
    if (Date.now() >= deadline) return false
    await sleep(EVERY_MS)
  }
}
