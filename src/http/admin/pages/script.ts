// What the console's pages do beside htmx, in the browser. Pages work without it.

/**
 * A filter is submitted when something is chosen, and while a search is typed. Filters that are empty do not appear in
 * the address. After a link was followed without loading the document anew, the focus is where a new document would
 * have it for a screen reader: at the content.
 */
export const CONSOLE_SCRIPT = `let typed
document.addEventListener('change', ({ target }) => {
  if (target.matches('.filters select')) target.form.requestSubmit()
})
document.addEventListener('input', ({ target }) => {
  if (!target.matches('.filters [type=search]')) return
  clearTimeout(typed)
  typed = setTimeout(() => target.isConnected && target.form.requestSubmit(), 300)
})
document.addEventListener('htmx:configRequest', ({ detail }) => {
  if (detail.verb !== 'get') return
  const sent = detail.formData
  for (const [name, value] of [...sent]) if (value === '') sent.delete(name)
})
document.addEventListener('htmx:afterSettle', ({ detail }) => {
  if (!detail.boosted) return
  if (document.activeElement === document.body) document.getElementById('main')?.focus({ preventScroll: true })
})
`
