// Every page of the console. A page that is not in this list has no route, and the tests visit every page of it.
import { auditPage } from './audit.js'
import type { AdminPage } from './page.js'

export const PAGES: readonly AdminPage[] = [
  auditPage,
]
