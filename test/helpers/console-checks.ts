// What every page of the console must hold in a real Chromium: no finding of axe in the light, in the dark and on a
// phone, no scrolling sideways, nothing that its policy refuses.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Page } from 'playwright-core'
import type { Test } from 'tap'
import { screenshot } from './chromium.js'

export const LOOKS = [
  { look: 'light', colorScheme: 'light', width: 1280 },
  { look: 'dark', colorScheme: 'dark', width: 1280 },
  { look: 'phone', colorScheme: 'light', width: 320 },
  { look: 'phone-dark', colorScheme: 'dark', width: 320 },
] as const

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** @returns what the policy of any page refused from now on, as the browser reports it */
export function refusalsOf(page: Page): readonly string[] {
  const refusals: string[] = []
  page.on('console', (message) => {
    if (/Content.Security.Policy|violates/i.test(message.text())) refusals.push(message.text())
  })
  page.on('pageerror', (error) => refusals.push(String(error)))
  return refusals
}

/** The page that is shown, in every look. Pictures are taken where GATEHOUSE_SCREENSHOTS names a folder. */
export async function looksWell(t: Test, page: Page, name: string): Promise<void> {
  for (const { look, colorScheme, width } of LOOKS) {
    await page.emulateMedia({ colorScheme })
    await page.setViewportSize({ width, height: 800 })
    t.equal(await overflow(page), '', `${name}, ${look}: nothing is wider than the screen`)
    t.strictSame(await axeFindings(page), [], `${name}, ${look}: axe finds nothing`)
    await screenshot(page, `console-${name}-${look}`)
  }
}

/** The elements beyond the right edge of the document, if it scrolls sideways. */
async function overflow(page: Page): Promise<string> {
  return await page.evaluate(`(() => {
    const root = document.documentElement
    if (root.scrollWidth <= window.innerWidth) return ''
    const wide = [...document.querySelectorAll('main *, header *, nav *')]
      .filter((each) => each.getBoundingClientRect().right > window.innerWidth + 1 && !each.closest('.scroll'))
    return root.scrollWidth + ': ' + wide.slice(0, 3).map((each) => each.outerHTML.slice(0, 120)).join(' | ')
  })()`)
}

interface Finding {
  readonly id: string
  readonly nodes: readonly { readonly html: string, readonly failureSummary: string }[]
}

async function axeFindings(page: Page): Promise<readonly string[]> {
  await page.evaluate(AXE)
  const findings: readonly Finding[] = await page.evaluate('axe.run().then(({ violations }) => violations)')
  return findings.map(({ id, nodes }) =>
    `${id}: ${
      nodes.slice(0, 3).map(({ html, failureSummary }) => `${html.slice(0, 160)} ${failureSummary}`).join(' | ')
    }`
  )
}
