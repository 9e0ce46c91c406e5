// What the steps of a login have in common: the dependencies of the login routes.
import type { FastifyReply } from 'fastify'
import type { GatehouseError } from '../../core/errors.js'
import type { FlowSealer } from '../../core/login-flow.js'
import type { LoginOutcome, LoginRequest } from '../../core/login.js'
import type { LongReturns } from '../../core/long-returns.js'
import type { Meter } from '../../core/meter.js'
import type { StepUp } from '../../core/step-up.js'
import type { ReturnToRules } from '../../core/return-to.js'
import type { TrustedPeers } from '../../net/networks.js'
import type { CookiePolicy } from '../cookies.js'
import type { HttpExchange } from '../http-exchange.js'
import type { PageSettings } from '../pages/layout.js'
import type { LoginLoopDetector } from './login-loop.js'

export interface LoginOptions {
  readonly publicUrl: string
  readonly clientId: string
  readonly authority: string
  readonly authorizePath: string
  readonly scopes: readonly string[]
  readonly flows: FlowSealer
  readonly loginLoop: LoginLoopDetector
  readonly longReturns: LongReturns
  readonly returnTo: ReturnToRules
  readonly cookies: CookiePolicy
  readonly trusts: TrustedPeers
  readonly login: (request: LoginRequest) => Promise<LoginOutcome>
  /** Converts an error that Entra ID sent to the callback. */
  readonly entraError: (answer: Readonly<Record<string, string | undefined>>) => GatehouseError
  readonly pages: PageSettings
  /** Whether the browser, its address and the application's host are recorded with the session. */
  readonly recordClient: boolean
  readonly meter: Pick<Meter, 'login' | 'loginStarted'>
  /** Called with the new session's id. */
  readonly signedIn: (sessionId: string, reply: FastifyReply) => Promise<void>
  /** Called after a fresh sign-in, with the public id of the session. */
  readonly steppedUp?:
    | ((stepUp: StepUp, sessionId: string | null, exchange: HttpExchange) => Promise<void>)
    | undefined
}
