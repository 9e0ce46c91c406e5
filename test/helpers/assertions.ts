// What several tests read from an answer before they compare it.
import type { Answer } from './browser.js'

/** The error code that a page shows; undefined for any other page. */
export function errorCode({ text }: Pick<Answer, 'text'>): string | undefined {
  return /data-field="code">([^<]+)</.exec(text)?.[1]
}
