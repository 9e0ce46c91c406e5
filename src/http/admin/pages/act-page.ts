// The form of an act: a page that says what will happen, with a button in these words. It is shown empty, again with
// what is wrong, and again after a fresh sign-in. act-routes.ts executes it.
import Type, { type Static, type TObject, type TProperties } from 'typebox'
import type { FormValues } from '../../../core/admin-forms.js'
import { html, type Html } from '../../pages/html.js'
import type { AdminActor } from '../actor.js'
import { MOST_REASON, Reason, type Act } from '../api/act.js'
import { note } from './components.js'
import { textField } from './form-fields.js'
import type { AdminPage, PageContent, PageRequest } from './page.js'

/** What the form of one object says. */
export interface ActForm {
  /** "End a session of Max" */
  readonly title: string
  readonly trail: PageContent['trail']
  /** What will happen, and to whom. */
  readonly content: Html
  /** In words, never "OK". */
  readonly button: string
  /** Fields of the act, beside the reason. */
  readonly fields?: Html
  /** Of the object, where the act compares it (core/version-tag.ts). */
  readonly version?: string
  /** What the act is asked for, where the form alone does not say it: in place of `bodyOf`. */
  readonly body?: Readonly<Record<string, unknown>>
  /** What the field `confirm` must hold. */
  readonly confirmation?: string
  /** Nothing can be changed: the page has no form. */
  readonly isClosed?: boolean
  /** The form is not complete: it is shown again, with this, in place of being executed. */
  readonly pending?: PendingForm
  /** Page that the link "Cancel" leads to. */
  readonly back: string
  /** Page that is shown afterwards; absent: the same. */
  readonly next?: string
}

export interface PendingForm {
  readonly status: 200 | 400
  readonly note: Html
  /** Whether the form asks for the reason already. */
  readonly asksReason: boolean
}

interface Definition<Params extends TObject, Fields extends TProperties> {
  readonly act: Act
  /** `/admin/sessions/:publicId/end`; its parameters are those of the act. */
  readonly path: string
  /** Name of the page, where no content could be made. */
  readonly title: string
  /** A wrong value is answered with 404. */
  readonly params: Params
  /** Those of the parameters that are a place within the object, and none of the act. */
  readonly within?: readonly (keyof Static<Params> & string)[]
  /** Texts of the form, beside the reason; a field that was left empty is absent. */
  readonly fields?: Fields
  /** Those of the fields that are parameters of the act. */
  readonly asks?: readonly (keyof Fields & string)[]
  /** Those of the fields that a link to the form may fill in. */
  readonly prefilled?: readonly (keyof Fields & string)[]
  /** Of the form; absent: as of other forms. */
  readonly mostBytes?: number
  /** The form has files; each of them is a field in Base64. */
  readonly isUpload?: boolean
  /** The body of the act, or the query of DELETE. */
  readonly bodyOf?: (values: Static<TObject<Fields>>) => Readonly<Record<string, unknown>>
  /** What the next page says: "The session has ended." */
  readonly done: string
  /**
   * What the answer of the act is shown as, once: it stands in no address, and a form that is sent again must not be
   * executed again. Absent: the answer leads to the next page.
   */
  readonly shown?: (answer: unknown) => PageContent
  /** Page that is shown afterwards, where the answer says which one. */
  readonly nextOf?: (answer: unknown, values: Static<TObject<Fields>>) => string
  readonly describe: (request: PageRequest<unknown, Static<Params>> & Described) => Promise<ActForm>
}

export interface Described {
  readonly values: FormValues
  /** The form was sent: with this version of the object. */
  readonly seen?: string | undefined
}

export interface ActPage {
  readonly page: AdminPage
  readonly act: Act
  readonly fields: TObject
  /** Of the fields, those that are parameters of the act. */
  readonly asks: readonly string[]
  /** Parameters of the address that are none of the act. */
  readonly within: readonly string[]
  readonly mostBytes: number | undefined
  readonly isUpload: boolean
  readonly done: string
  readonly shown: ((answer: unknown) => PageContent) | undefined
  readonly nextOf: ((answer: unknown, values: FormValues) => string) | undefined
  bodyOf(values: FormValues): Readonly<Record<string, unknown>>
  describe(request: PageRequest<unknown, unknown>, described: Described): Promise<ActForm>
}

/** In the address of the next page: `people-deactivate`. */
export function doneName({ page: { path } }: ActPage): string {
  return path.split('/').slice(2).filter((part) => !part.startsWith(':')).join('-')
}

export function defineActPage<
  Params extends TObject,
  Fields extends TProperties = Record<never, never>,
>(definition: Definition<Params, Fields>): ActPage {
  const { act, path, title, params, bodyOf, done, asks = [], mostBytes, isUpload = false, prefilled = [] } = definition
  const reason = act.act.reason === 'required' ? { reason: Reason } : {}
  const describe: ActPage['describe'] = async (request, described) =>
    await definition.describe({ ...request, params: request.params as Static<Params>, ...described })
  return {
    act,
    done,
    describe,
    shown: definition.shown,
    nextOf: definition.nextOf as ActPage['nextOf'],
    asks,
    within: definition.within ?? [],
    mostBytes,
    isUpload,
    fields: Type.Object({ ...definition.fields, ...reason }),
    bodyOf: (values) => bodyOf?.(values as Static<TObject<Fields>>) ?? {},
    page: {
      path,
      permission: act.permission,
      title,
      params,
      query: Type.Object({
        form: Type.Optional(Type.String({ maxLength: 100 })),
        ...Object.fromEntries(prefilled.map((name) => [name, Type.Optional(Type.String({ maxLength: 2_000 }))])),
      }),
      async render(request) {
        const { actor, useCases, path: at } = request
        const { form: id, ...given } = request.query as FormValues
        const place = { adminSessionId: actor.adminSessionId, act: act.operationId, path: at }
        const values = id === undefined ? undefined : await useCases.forms.find(id, place)
        const form = await describe(request, { values: values ?? given })
        const problem = comeBack(id, values)
        return formContent({ act, form, actor, path: at, values: values ?? given, problem, isUpload })
      },
    },
  }
}

function comeBack(id: string | undefined, values: FormValues | undefined): Html | undefined {
  if (id === undefined) return undefined
  return values === undefined
    ? note('The values of this form were kept for ten minutes, which are over. Fill it in again.', 'warn')
    : note('You have signed in anew. Nothing was done yet: look at the form, then send it.')
}

export interface ShownForm {
  readonly act: Act
  readonly form: ActForm
  readonly actor: Pick<AdminActor, 'csrfToken'>
  /** Address that the form is sent to. */
  readonly path: string
  readonly values: FormValues
  readonly problem?: Html | undefined
  readonly isUpload: boolean
}

export function formContent({ act, form, actor, path, values, problem, isUpload }: ShownForm): PageContent {
  const { title, trail, content, fields, version, back, button, pending } = form
  if (form.isClosed === true) return { title, ...trail === undefined ? {} : { trail }, content }
  const asksReason = act.act.reason === 'required' && (pending?.asksReason ?? true)
  const hidden = version === undefined ? '' : html`<input type="hidden" name="_version" value="${version}">`
  return {
    title,
    ...trail === undefined ? {} : { trail },
    content: html`${problem ?? ''}
${content}
<form class="act" method="post" action="${path}"${
      isUpload ? html` enctype="multipart/form-data"` : ''
    }><input type="hidden" name="_csrf" value="${actor.csrfToken}">${hidden}
${fields ?? ''}${asksReason ? reasonField(values.reason) : ''}
<div class="submit"><button class="button primary">${button}</button><a class="clear" href="${back}">Cancel</a></div>
</form>`,
  }
}

function reasonField(value: string | undefined): Html {
  const hint = 'The audit record keeps it.'
  return textField({ name: 'reason', label: 'Reason', value, maxLength: MOST_REASON, hint })
}

/** A POST never leads to another origin: this page has a link to the sign-in. */
export function stepUpContent(title: string, stepUp: string, trail: PageContent['trail']): PageContent {
  return {
    title,
    ...trail === undefined ? {} : { trail },
    content: html`${note('This needs a new sign-in: yours was too long ago. Nothing was done yet.', 'warn')}
<p>What you have entered is kept for ten minutes. After the sign-in the form is shown again, filled in.</p>
<p><a class="button primary" href="${stepUp}" hx-boost="false">Sign in anew</a></p>`,
  }
}
