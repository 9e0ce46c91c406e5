// What `doctor` finds: one result for each check, with what to do.
export interface DiagnosisResult {
  /** What was checked, like `Entra ID`. */
  readonly check: string
  readonly state: 'ok' | 'warn' | 'fail' | 'skipped'
  /** Stable, like a problem's of the configuration. */
  readonly code: string
  /** Which of several causes with the same code it is. */
  readonly reason?: string
  readonly message: string
  readonly remedy?: string
  /** The key of the configuration, like `groupMapping[2].groups[0]`. */
  readonly path?: string
}

/** Checks that are carried out together. */
export interface DiagnosisPart {
  readonly check: string
  readonly look: () => Promise<readonly DiagnosisResult[]>
}
