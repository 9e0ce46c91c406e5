// What an organisation makes of the pages, and the files that they load: every one under an address that has the hash
// of what it holds, so that browsers keep it.
import { createHash } from 'node:crypto'
import type { ApplicationLink } from '../../core/applications.js'
import type { Branding, Image } from '../../core/branding.js'
import { paletteOf } from './palette.js'
import { stylesheet } from './stylesheet.js'

export interface Asset {
  readonly type: string
  readonly body: string | Buffer
  /** Of what a browser might open on its own and run: nothing is loaded, no script runs. */
  readonly isolated: boolean
}

export interface Theme {
  readonly name: string
  /** Path of the logo. */
  readonly logo: string | undefined
  /** Path of the stylesheet. */
  readonly stylesheet: string
  /** By path. */
  readonly assets: ReadonlyMap<string, Asset>
  readonly applications: readonly ApplicationLink[]
  iconOf(application: ApplicationLink): string | undefined
}

export interface ThemeSource {
  readonly branding: Branding
  readonly applications: readonly ApplicationLink[]
}

export const ASSETS = '/oauth2/assets/'
const OUR_NAME = 'Gatehouse'

export function createTheme({ branding, applications }: ThemeSource): Theme {
  const text = stylesheet(branding.color === undefined ? undefined : paletteOf(branding.color))
  const sheet = `${ASSETS}${shortened(createHash('sha256').update(text).digest('hex'))}.css`
  const pictures = [branding.logo, ...applications.map(({ icon }) => icon)].flatMap((image) => image ?? [])
  return {
    name: branding.name ?? OUR_NAME,
    logo: branding.logo && addressOf(branding.logo),
    stylesheet: sheet,
    assets: new Map<string, Asset>([
      [sheet, { type: 'text/css; charset=utf-8', body: text, isolated: false }],
      ...pictures.map((image): [string, Asset] => [
        addressOf(image),
        { type: image.type, body: image.content(), isolated: true },
      ]),
    ]),
    applications,
    iconOf: ({ icon }) => icon && addressOf(icon),
  }
}

const ENDINGS: Readonly<Record<Image['type'], string>> = {
  'image/png': 'png',
  'image/jpeg': 'jpg',
  'image/webp': 'webp',
  'image/svg+xml': 'svg',
}

function addressOf({ sha256, type }: Image): string {
  return `${ASSETS}${shortened(sha256)}.${ENDINGS[type]}`
}

function shortened(sha256: string): string {
  return sha256.slice(0, 16)
}
