// A real browser, without any request of its own leaving the machine.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { chromium, type Browser, type Page } from 'playwright-core'
import type { Test } from 'tap'
import { program } from './programs.js'

/** @returns undefined where no Chromium is installed (the test is then skipped, with the reason) */
export async function startChromium(t: Test, more: readonly string[] = []): Promise<Browser | undefined> {
  const executablePath = program(t, 'chromium', 'chromium-browser', 'google-chrome')
  if (executablePath === undefined) return undefined
  const browser = await chromium.launch({
    executablePath,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      ...more,
    ],
  })
  t.teardown(() => browser.close())
  return browser
}

/** A picture to look at, where GATEHOUSE_SCREENSHOTS names a folder. */
export async function screenshot(page: Page, name: string): Promise<void> {
  const folder = process.env.GATEHOUSE_SCREENSHOTS
  if (!folder) return
  mkdirSync(folder, { recursive: true })
  await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true })
}
