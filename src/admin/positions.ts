// Pages of a list that is in memory, by the position of its entries.

export interface PositionPage<Item> {
  readonly page: readonly Item[]
  /** The position of the last entry of this page, where others follow. */
  readonly next: number | undefined
}

/** The first entries that meet the condition. @param positionOf where the page after this entry begins */
export function nextPage<Item>(
  items: readonly Item[],
  limit: number,
  positionOf: (item: Item) => number,
  meets: (item: Item) => boolean = () => true,
): PositionPage<Item> {
  const page: Item[] = []
  for (const item of items) {
    if (!meets(item)) continue
    const last = page.at(-1)
    if (page.length === limit && last !== undefined) return { page, next: positionOf(last) }
    page.push(item)
  }
  return { page, next: undefined }
}
