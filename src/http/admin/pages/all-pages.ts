// Every page of the console: each file of a page is named here.
import type { AdminPage } from './page.js'

export const PAGES: readonly AdminPage[] = []
