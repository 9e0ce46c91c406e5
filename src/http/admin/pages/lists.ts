// Short lists inside a cell of a table: the first entries, and how many more there are.
import { html, type Html, type Value } from '../../pages/html.js'

const SHOWN = 5

export function shortList<Item>(items: readonly Item[], show: (item: Item) => Value, shown = SHOWN): Html {
  const more = items.length - shown
  return html`${items.slice(0, shown).map((item, index) => html`${index > 0 ? ', ' : ''}${show(item)}`)}${
    more > 0 ? html` <span class="soft">and ${more} more</span>` : ''
  }`
}
