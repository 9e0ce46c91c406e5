// Names that people and groups can have in Entra ID: none of them may become markup, change the text around it, or
// make a page wider.

export const HOSTILE_NAMES: readonly string[] = [
  'Max Mustermann',
  `'"><script>document.title='broken out'</script>`,
  '\u202Egnp.exe\u202C and \u05D0\u05D1\u05D2',
  'L'.repeat(300),
  'Zoë 👩🏽‍💻 \u2028 line',
  '<img src=x onerror=alert(1)>',
]

/** The name number `n`, made unique. */
export function hostileName(n: number): string {
  return `${HOSTILE_NAMES[n % HOSTILE_NAMES.length] ?? ''} ${n}`
}
