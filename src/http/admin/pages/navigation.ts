// The sections of the console, in the order of the navigation.
import type { AdminPermission } from '../../../core/admin-permissions.js'

export interface NavigationItem {
  readonly label: string
  readonly path: string
  /** Absent: everybody who may see the console. */
  readonly permission?: AdminPermission
}

export const NAVIGATION: readonly NavigationItem[] = [
  { label: 'Overview', path: '/admin' },
  { label: 'People', path: '/admin/people' },
  { label: 'Groups', path: '/admin/groups' },
  { label: 'Reviews', path: '/admin/reviews' },
  { label: 'Mapping', path: '/admin/mapping' },
  { label: 'Access', path: '/admin/access' },
  { label: 'Drafts', path: '/admin/drafts', permission: 'gatehouse.policy' },
  { label: 'Versions', path: '/admin/versions' },
  { label: 'Test', path: '/admin/test' },
  { label: 'Sessions', path: '/admin/sessions' },
  { label: 'Audit', path: '/admin/audit' },
  { label: 'Programs', path: '/admin/programs' },
  { label: 'System', path: '/admin/system' },
]

/** The section that a page belongs to. */
export function sectionOf(path: string): NavigationItem | undefined {
  return NAVIGATION.find((item) => path === item.path || (item.path !== '/admin' && path.startsWith(`${item.path}/`)))
}
