// What a look beyond the configuration file found: one shape for `check`, which knows the place in the file, and for
// whoever else wants to tell an operator what is right, doubtful or wrong.

export interface Finding {
  readonly state: 'ok' | 'warn' | 'fail' | 'skipped'
  /** Stable, like a problem's of the configuration. */
  readonly code: string
  readonly says: string
  readonly remedy?: string
  /** The key it is about, like `groupMapping[2].groups[0]`. */
  readonly path?: string
}

/** One look; it throws nothing: what could not be asked is a finding too. */
export type Check = () => Promise<readonly Finding[]>
