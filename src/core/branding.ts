// The organisation's appearance of the pages, and the applications on the home page.

import type { Image } from './image.js'

export interface Branding {
  /** Undefined: Gatehouse's own. */
  readonly name: string | undefined
  readonly logo: Image | undefined
  /** `#rrggbb`. */
  readonly color: string | undefined
}

export interface Application {
  /** In lower case, with the port where it is not the scheme's own. */
  readonly host: string
  readonly name: string
  readonly icon: Image | undefined
}
