// What to do after `gatehouse init`, in order, with the commands as they can be typed in.
import { join } from 'node:path'
import type { Answers } from './answers.js'
import { SECRET_FILES } from './configuration.js'
import { certificateOf } from './proxy-files.js'
import { REGISTRATION_FILES } from './registration-files.js'

export interface Step {
  readonly what: string
  readonly commands: readonly string[]
}

/** As one word of a shell's command line. */
export function shellWord(text: string): string {
  return /^[\w./@:+,=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}

export function nextSteps(folder: string, answers: Answers): readonly Step[] {
  const at = (path: string): string => shellWord(join(folder, path))
  const config = folder === 'config' ? '' : ` --config ${at('gatehouse.yaml')}`
  const [first] = answers.applications
  const port = new URL(answers.publicUrl).port
  const clientId = answers.client === undefined ? ' and the client ID into gatehouse.yaml' : ''
  return [
    {
      what: 'Register Gatehouse in Entra ID: with the Azure CLI as below, or by hand with ' +
        `${join(folder, REGISTRATION_FILES.words)}. By hand, put the client secret's Value into ` +
        `${join(folder, SECRET_FILES.client)}${clientId}.`,
      commands: [
        `az login --tenant ${answers.tenant} --allow-no-subscriptions`,
        `sh ${at(REGISTRATION_FILES.script)}`,
      ],
    },
    {
      what: 'Check it: check validates the files, doctor tests Entra ID and the database.',
      commands: [`gatehouse check${config}`, `gatehouse doctor${config}`],
    },
    ...proxySteps(answers, at),
    {
      what: `Start Gatehouse, then open https://${first?.host}${port === '' ? '' : `:${port}`}/ and sign in.`,
      commands: [`gatehouse serve${config}`],
    },
    {
      what: 'Grant rights to users: rows of groupMapping in the configuration, and local groups of the same names.',
      commands: [`gatehouse groups add "Network Engineers"${config}`, `gatehouse users list --why${config}`],
    },
  ]
}

function proxySteps(answers: Answers, at: (path: string) => string): Step[] {
  const { proxy } = answers
  if (proxy === 'none') return []
  const { certificate, key } = certificateOf(answers)
  const pair = `It needs the certificate ${certificate} with the key ${key ?? certificate}, for all of these hosts.`
  const needs = {
    nginx: pair,
    caddy: certificate === undefined
      ? 'Caddy gets the certificates by itself; ports 80 and 443 must be reached from the Internet.'
      : pair,
    haproxy: `It needs ${certificate}: certificate and key in one file, for all of these hosts.`,
    traefik: pair,
    envoy: pair,
  }[proxy]
  const commands = {
    nginx: [
      `sudo cp -r ${at('nginx/gatehouse')} /etc/nginx/`,
      `sudo cp ${at('nginx/gatehouse.conf')} /etc/nginx/conf.d/`,
      'sudo nginx -t && sudo nginx -s reload',
    ],
    caddy: [
      `sudo cp ${at('caddy/Caddyfile')} /etc/caddy/Caddyfile`,
      'sudo caddy validate --config /etc/caddy/Caddyfile && sudo systemctl restart caddy',
    ],
    haproxy: [
      `sudo cp ${at('haproxy/gatehouse.lua')} ${at('haproxy/haproxy.cfg')} /etc/haproxy/`,
      'sudo haproxy -c -f /etc/haproxy/haproxy.cfg && sudo systemctl reload haproxy',
    ],
    traefik: [
      `sudo cp ${at('traefik/traefik.yml')} ${at('traefik/traefik-static.yml')} /etc/traefik/`,
      'traefik --configFile=/etc/traefik/traefik-static.yml',
    ],
    envoy: [
      `sudo cp ${at('envoy/envoy.yaml')} /etc/envoy/envoy.yaml`,
      'envoy --mode validate -c /etc/envoy/envoy.yaml && envoy -c /etc/envoy/envoy.yaml',
    ],
  }[proxy]
  return [{ what: `Put ${proxy} in front. ${needs}`, commands }]
}
