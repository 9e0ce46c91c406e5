// A page of the console, as its file describes it: address, permission, parameters and content. routes.ts serves it.
import type { FastifyRequest } from 'fastify'
import type { Static, TObject } from 'typebox'
import type { AdminPermission } from '../../../core/admin-permissions.js'
import type { AdminUseCases } from '../../../admin/use-cases.js'
import type { Html } from '../../pages/html.js'
import type { AdminActor } from '../actor.js'
import type { Cursors } from '../cursors.js'

export interface PageRequest<Query, Params> {
  readonly actor: AdminActor
  readonly useCases: AdminUseCases
  readonly query: Query
  readonly params: Params
  /** Reads and writes the parameter `after` of a list. */
  readonly cursors: Cursors
  readonly request: FastifyRequest
  /** Of the page, without the query. */
  readonly path: string
  /** Milliseconds since 1970. */
  readonly now: number
}

export interface PageContent {
  /** Heading of the page. */
  readonly title: string
  readonly content: Html
  /** One line below the heading: what the object is, or what the page counts. */
  readonly lead?: Html | string
  /** Where it is not 200. */
  readonly status?: number
  /** Pages above this one, the outermost first. */
  readonly trail?: readonly { readonly label: string, readonly href: string }[]
}

interface Definition<Query extends TObject, Params extends TObject> {
  /** `/admin/people/:id` */
  readonly path: string
  readonly permission: AdminPermission
  /** Name of the page, where no content could be made. */
  readonly title: string
  /** Unknown and empty parameters are ignored; a wrong value is answered with 400, inside the layout. */
  readonly query?: Query
  /** A wrong value is answered with 404. */
  readonly params?: Params
  /** @throws GatehouseError: shown inside the layout */
  readonly render: (request: PageRequest<Static<Query>, Static<Params>>) => Promise<PageContent> | PageContent
}

/** A page whose types of parameters are forgotten, as routes.ts handles it. */
export interface AdminPage {
  readonly path: string
  readonly permission: AdminPermission
  readonly title: string
  readonly query: TObject | undefined
  readonly params: TObject | undefined
  render(request: PageRequest<unknown, unknown>): Promise<PageContent>
}

export function defineAdminPage<
  Query extends TObject = TObject<Record<never, never>>,
  Params extends TObject = TObject<Record<never, never>>,
>(definition: Definition<Query, Params>): AdminPage {
  const { path, permission, title, query, params, render } = definition
  return {
    path,
    permission,
    title,
    query,
    params,
    render: async (request) => await render(request as PageRequest<Static<Query>, Static<Params>>),
  }
}
