// Forms of the console that wait for a fresh sign-in: their values are kept on the server, because no form may lead to
// another origin. Coming back shows the form again, filled in; nothing is executed by it.

export type FormValues = Readonly<Record<string, string>>

export interface FormPlace {
  /** It stays the same when the fresh sign-in renews the cookie. */
  readonly adminSessionId: string
  /** Operation of the API. */
  readonly act: string
  /** Address of the form, which names the object. */
  readonly path: string
}

export const FORM_KEPT_MS = 10 * 60_000

export interface AdminForms {
  /** @returns an id for `find`; undefined: the values are too long to be kept */
  keep(place: FormPlace, values: FormValues): Promise<string | undefined>
  /** Undefined: there is none, or it is of another session, act or object, or it was kept longer than FORM_KEPT_MS. */
  find(id: string, place: FormPlace): Promise<FormValues | undefined>
}
