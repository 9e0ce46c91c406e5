// The proxies for outgoing requests, from the environment, with the semantics of curl: an address without a scheme is
// http, and a `*` anywhere in NO_PROXY disables the proxies.
import type { Environment } from './environment.js'
import { GatehouseError } from './errors.js'

/** Empty strings: no proxy. */
export interface OutgoingProxies {
  readonly httpProxy: string
  /** Empty: `httpProxy`. */
  readonly httpsProxy: string
  readonly noProxy: string
}

/** @throws GatehouseError `proxy_unusable`, which names the variable and never its value: that may hold a password */
export function outgoingProxies(env: Environment): OutgoingProxies {
  const noProxy = variable(env, 'NO_PROXY').value
  return {
    httpProxy: addressOf(variable(env, 'HTTP_PROXY')),
    httpsProxy: addressOf(variable(env, 'HTTPS_PROXY')),
    noProxy: noProxy.split(/[,\s]+/).includes('*') ? '*' : noProxy, // guard: adv-no-proxy-star
  }
}

interface Variable {
  readonly name: string
  readonly value: string
}

/** The name in lower case takes precedence, as in other programs. */
function variable(env: Environment, upper: string): Variable {
  const lower = upper.toLowerCase()
  const name = env[lower] === undefined ? upper : lower
  return { name, value: (env[name] ?? '').trim() }
}

function addressOf({ name, value }: Variable): string {
  if (value === '') return ''
  const address = /^[a-z][a-z\d+.-]*:\/\//i.test(value) ? value : `http://${value}` // guard: adv-proxy-without-scheme
  const url = URL.canParse(address) ? new URL(address) : undefined
  // guard: adv-proxy-named
  if (url !== undefined && ['http:', 'https:'].includes(url.protocol) && !/\s/.test(value)) return address
  throw new GatehouseError('proxy_unusable', {
    detail: `the environment variable ${name} is not the address of an HTTP proxy`,
    remedy: `Write ${name}=http://HOST:PORT (or https://), with special characters of a password percent-encoded, ` +
      'or unset it.',
  })
}
