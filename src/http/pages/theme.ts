// The organisation's branding of the pages, and the files that they load. The path of each file contains the hash of
// its content, so that browsers can cache it.
import { createHash } from 'node:crypto'
import type { ApplicationLink } from '../../core/applications.js'
import type { Branding } from '../../core/branding.js'
import type { Image } from '../../core/image.js'
import { paletteOf, type Palette } from './palette.js'
import { stylesheet } from './stylesheet.js'

export interface Asset {
  readonly type: string
  readonly body: string | Buffer
  /** True for files that could contain scripts: they are sent with a policy that loads and runs nothing. */
  readonly isolated: boolean
}

export interface Theme {
  readonly name: string
  /** Path of the logo. */
  readonly logo: string | undefined
  /** Undefined: no colour is configured. */
  readonly palette: Palette | undefined
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
const DEFAULT_NAME = 'Gatehouse'

export function createTheme({ branding, applications }: ThemeSource): Theme {
  const palette = branding.color === undefined ? undefined : paletteOf(branding.color)
  const text = stylesheet(palette)
  const stylesheetPath = `${ASSETS}${shortened(createHash('sha256').update(text).digest('hex'))}.css`
  const images = [branding.logo, ...applications.map(({ icon }) => icon)].flatMap((image) => image ?? [])
  return {
    name: branding.name ?? DEFAULT_NAME,
    logo: branding.logo && pathOf(branding.logo),
    palette,
    stylesheet: stylesheetPath,
    assets: new Map<string, Asset>([
      [stylesheetPath, { type: 'text/css; charset=utf-8', body: text, isolated: false }],
      ...images.map((image): [string, Asset] => [
        pathOf(image),
        { type: image.type, body: image.content(), isolated: true },
      ]),
    ]),
    applications,
    iconOf: ({ icon }) => icon && pathOf(icon),
  }
}

const EXTENSIONS: Readonly<Record<Image['type'], string>> = {
  'image/png': 'png',
  'image/jpeg': 'jpg',
  'image/webp': 'webp',
  'image/svg+xml': 'svg',
}

function pathOf({ sha256, type }: Image): string {
  return `${ASSETS}${shortened(sha256)}.${EXTENSIONS[type]}`
}

function shortened(sha256: string): string {
  return sha256.slice(0, 16)
}
