// The organisation's appearance of the pages, and the applications on the home page.

export interface Image {
  /** 64 hex characters. */
  readonly sha256: string
  readonly type: 'image/png' | 'image/jpeg' | 'image/webp' | 'image/svg+xml'
  /** A function, so that bytes are neither compared nor logged: the hash stands for them. */
  content(): Buffer
}

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
