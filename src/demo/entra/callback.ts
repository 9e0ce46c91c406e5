// Answers to the redirect URI: in its query, its fragment or a posted form, with `state` unchanged.
import type { FastifyReply } from 'fastify'
import { aadstsBody, type AadstsError } from './aadsts.js'
import type { ReplyTarget } from './authorize-request.js'
import { formPostPage } from './pages.js'
import type { World } from './types.js'

export function sendCallback(world: World, reply: FastifyReply, target: ReplyTarget, answer: Record<string, string>) {
  const parameters = new URLSearchParams(answer)
  if (target.state !== undefined) parameters.set('state', target.state)
  for (const fault of world.faults.forCallback()) fault.change(parameters)
  if (target.mode === 'form_post') {
    return reply.type('text/html; charset=utf-8').send(formPostPage(target.redirectUri, parameters))
  }
  return reply.redirect(target.redirectUri + separatorOf(target) + parameters.toString(), 302)
}

function separatorOf({ mode, redirectUri }: ReplyTarget): string {
  if (mode === 'fragment') return '#'
  return redirectUri.includes('?') ? '&' : '?'
}

export function sendErrorCallback(world: World, reply: FastifyReply, target: ReplyTarget, error: AadstsError) {
  const { error: name, error_description: description, error_uri: uri } = aadstsBody({
    code: error.code,
    values: error.values,
    now: world.now(),
  })
  return sendCallback(world, reply, target, { error: name, error_description: description, error_uri: uri })
}
