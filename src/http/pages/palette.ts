// Derives the colours of buttons and links from the organisation's colour, readable in light and dark mode: a contrast
// of at least 4.5 to 1 (WCAG 2.2, success criterion 1.4.3).

export interface Palette {
  /** Background of buttons. */
  readonly button: string
  readonly buttonInk: string
  /** Colour of links and button borders: on white in light mode, on the dark card in dark mode. */
  readonly accent: string
  readonly accentDark: string
}

export const CARD = '#ffffff'
export const CARD_DARK = '#1a2130'
const MIN_CONTRAST = 4.5
const STEPS = 100

/** @param color `#rrggbb` */
export function paletteOf(color: string): Palette {
  const whiter = contrast('#ffffff', color) >= contrast('#000000', color)
  return {
    button: color,
    buttonInk: whiter ? '#ffffff' : '#000000', // guard: adv-page-contrast
    accent: readableOn(CARD, color, '#000000'),
    accentDark: readableOn(CARD_DARK, color, '#ffffff'),
  }
}

/** The colour itself, or its first mix with `towards` that has the minimum contrast. */
function readableOn(background: string, color: string, towards: string): string {
  for (let step = 0; step < STEPS; step++) {
    const mixed = mix(color, towards, step / STEPS)
    if (contrast(background, mixed) >= MIN_CONTRAST) return mixed
  }
  return towards
}

/** Between 1 and 21. */
export function contrast(one: string, other: string): number {
  const [lighter = 0, darker = 0] = [luminance(one), luminance(other)].sort((a, b) => b - a)
  return (lighter + 0.05) / (darker + 0.05)
}

function luminance(color: string): number {
  const [red = 0, green = 0, blue = 0] = channels(color).map((channel) => {
    const share = channel / 255
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}

function mix(color: string, towards: string, share: number): string {
  const target = channels(towards)
  const mixed = channels(color).map((channel, index) => Math.round(channel + ((target[index] ?? 0) - channel) * share))
  return `#${mixed.map((channel) => channel.toString(16).padStart(2, '0')).join('')}`
}

function channels(color: string): number[] {
  return [1, 3, 5].map((at) => Number.parseInt(color.slice(at, at + 2), 16))
}
