/** Before every id of a row: where pages in the order of ids begin. */
export const BEFORE_ALL_IDS = '00000000-0000-0000-0000-000000000000'
