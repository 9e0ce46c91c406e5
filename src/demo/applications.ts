// The demo's two applications: which areas they have, and for whom. Who may pass is decided by the access rules of
// config/demo/gatehouse.yaml; this only links there.

export interface DemoApplication {
  readonly name: string
  readonly title: string
  readonly areas: readonly { readonly path: string, readonly name: string }[]
}

export const APPLICATIONS = {
  network: {
    name: 'Network',
    title: 'the network portal: open to every user who is signed in',
    areas: [
      { path: '/', name: 'Front page' },
      { path: '/staff/', name: 'Staff area' },
      { path: '/admin/', name: 'Superusers' },
    ],
  },
  circuits: {
    name: 'Circuits',
    title: 'the circuits of the carriers: open to circuit managers alone',
    areas: [{ path: '/', name: 'Front page' }],
  },
} as const satisfies Record<string, DemoApplication>
