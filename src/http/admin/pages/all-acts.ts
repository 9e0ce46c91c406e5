// Every form of the console that changes something.
import type { ActPage } from './act-page.js'
import { endSessionPage } from './session-acts.js'

export const ACT_PAGES: readonly ActPage[] = [
  endSessionPage,
]
