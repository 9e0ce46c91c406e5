// The people of the demo tenant, one for each thing group mapping has to get right. Ids are fixed, so that the demo's
// configuration, the tests and the documentation can name them.
import type { Directory, DirectoryObject, DirectoryUser } from './directory.js'

export const DEMO_TENANT_ID = '8f3f7d0e-1c2b-4a5d-9e6f-7a8b9c0d1e2f'
export const DEMO_CLIENT_ID = 'b14a7505-96e9-4927-91e8-0601d0fc9caa'
export const DEMO_DOMAIN = 'contoso.example'

export const GROUP_IDS = {
  netboxSuperusers: '11111111-2222-3333-4444-555555555555',
  netboxAdmins: 'a1b2c3d4-e5f6-7890-1234-567890abcdef',
  networkEngineers: 'b2c3d4e5-f6a7-8901-2345-678901bcdef0',
  circuitManagers: '1a36bed9-3bdc-4970-ab66-faf9704e0af4',
  readOnly: 'c3d4e5f6-a7b8-9012-3456-789012cdef01',
  berlinTeam: '5d1f3a70-8c42-4e19-b7a6-2f0c9d8e7b61',
  europeTeams: '6e2a4b81-9d53-4f2a-88b7-301dae9f8c72',
  allTeams: '7f3b5c92-ae64-403b-99c8-412ebfa09d83',
  directoryReaders: '9ed3a0c4-53e1-498c-ab4d-2473476fde14',
  seattleUnit: '4d7ea995-bc0f-45c0-8c3e-132e93bf95f8',
} as const

export const PERSON_IDS = {
  staff: '6e7b768e-07e2-4810-8459-485f84f8f204',
  superuser: '0b8d2c1e-5a74-4d63-9f10-3e6a7b8c9d02',
  nested: '1c9e3d2f-6b85-4e74-8a21-4f7b8c9dae13',
  many: '2daf4e30-7c96-4f85-9b32-508c9daebf24',
  guest: '3c5e7a90-1b2d-4f68-8a9c-0d1e2f3a4b5c',
  nobody: '4fc16052-9eb8-41a7-bd54-72aebfd0e146',
} as const

export type PersonKey = keyof typeof PERSON_IDS
export type DemoPeople = Record<PersonKey, DirectoryUser>

const member = (key: PersonKey, givenName: string, surname: string, note: string): DirectoryUser => {
  const name = `${givenName}.${surname}`.toLowerCase()
  return {
    id: PERSON_IDS[key],
    displayName: `${givenName} ${surname}`,
    givenName,
    surname,
    userPrincipalName: `${name}@${DEMO_DOMAIN}`,
    mail: `${name}@${DEMO_DOMAIN}`,
    accountEnabled: true,
    userType: 'Member',
    edov: true,
    signInSessionsValidFromDateTime: '2026-01-05T08:00:00Z',
    note,
  }
}

export const PEOPLE: Readonly<DemoPeople> = {
  staff: member('staff', 'Sam', 'Staff', 'Network Engineers'),
  superuser: member('superuser', 'Sue', 'Super', 'NetBox Superusers, a directory role and an administrative unit'),
  nested: member('nested', 'Nina', 'Nested', 'only in the Berlin team, three levels inside Network Engineers'),
  many: member('many', 'Max', 'Many', '2,500 groups; Circuit Managers comes last'),
  guest: {
    id: PERSON_IDS.guest,
    displayName: 'Gus Guest',
    givenName: 'Gus',
    surname: 'Guest',
    userPrincipalName: `gus.guest_fabrikam.example#EXT#@${DEMO_DOMAIN}`,
    accountEnabled: true,
    userType: 'Guest',
    signInSessionsValidFromDateTime: '2026-01-05T08:00:00Z',
    note: 'a guest without e-mail address, in Read Only Users',
  },
  nobody: member('nobody', 'Nobody', 'Noone', 'in no group at all'),
}

const objects: DirectoryObject[] = [
  { id: GROUP_IDS.netboxSuperusers, type: 'group', displayName: 'NetBox Superusers', securityEnabled: true },
  { id: GROUP_IDS.netboxAdmins, type: 'group', displayName: 'NetBox Admins', securityEnabled: true },
  { id: GROUP_IDS.networkEngineers, type: 'group', displayName: 'Network Engineers', securityEnabled: true },
  { id: GROUP_IDS.circuitManagers, type: 'group', displayName: 'Circuit Managers', securityEnabled: true },
  {
    id: GROUP_IDS.readOnly,
    type: 'group',
    displayName: 'Read Only Users',
    securityEnabled: true,
    groupTypes: ['DynamicMembership'],
  },
  { id: GROUP_IDS.berlinTeam, type: 'group', displayName: 'Team Berlin', securityEnabled: true },
  { id: GROUP_IDS.europeTeams, type: 'group', displayName: 'Teams Europe', securityEnabled: true },
  { id: GROUP_IDS.allTeams, type: 'group', displayName: 'All Teams', securityEnabled: true },
  { id: GROUP_IDS.directoryReaders, type: 'directoryRole', displayName: 'Directory Readers' },
  { id: GROUP_IDS.seattleUnit, type: 'administrativeUnit', displayName: 'Seattle District Technical Schools' },
]

/** Users are copied in: a test may change its own Sam. */
export function seedDemoDirectory(directory: Directory): DemoPeople {
  for (const object of objects) directory.addObject({ ...object })
  const people = {} as DemoPeople
  for (const key of Object.keys(PEOPLE) as PersonKey[]) people[key] = directory.addUser({ ...PEOPLE[key] })

  directory.addMember(GROUP_IDS.networkEngineers, people.staff.id)
  for (const id of [GROUP_IDS.directoryReaders, GROUP_IDS.netboxSuperusers, GROUP_IDS.seattleUnit]) {
    directory.addMember(id, people.superuser.id)
  }
  directory.addMember(GROUP_IDS.readOnly, people.guest.id)
  nest(directory, people.nested.id)
  fill(directory, people.many.id)
  return people
}

/**
 * Berlin is in Europe, Europe in All Teams, All Teams in Network Engineers; and All Teams, by mistake, in Berlin: a
 * cycle.
 */
function nest(directory: Directory, userId: string) {
  directory.addMember(GROUP_IDS.berlinTeam, userId)
  directory.addMember(GROUP_IDS.europeTeams, GROUP_IDS.berlinTeam)
  directory.addMember(GROUP_IDS.allTeams, GROUP_IDS.europeTeams)
  directory.addMember(GROUP_IDS.networkEngineers, GROUP_IDS.allTeams)
  directory.addMember(GROUP_IDS.berlinTeam, GROUP_IDS.allTeams)
}

/** 2,499 projects, one administrative unit among them, and at the very end the one group that is mapped. */
function fill(directory: Directory, userId: string) {
  for (let n = 1; n <= 2499; n++) {
    const id = `d0000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`
    directory.addObject({ id, type: 'group', displayName: `Project ${n}`, securityEnabled: n % 10 !== 0 })
    directory.addMember(id, userId)
    if (n === 50) directory.addMember(GROUP_IDS.seattleUnit, userId)
  }
  directory.addMember(GROUP_IDS.circuitManagers, userId)
}
