// The home page says what is so, of everybody: with groups, without, with groups that nobody made here.
import t from 'tap'
import { GROUP_IDS, PERSON_IDS } from '../../../src/demo/people.js'
import type { Answer } from '../../helpers/browser.js'
import { MAPPING, startTestGateway } from '../../helpers/gateway.js'
import { connect } from '../../helpers/sql.js'

const LABELS: Readonly<Record<string, string>> = {
  [GROUP_IDS.networkEngineers]: 'Network <team>',
  [GROUP_IDS.circuitManagers]: 'Carrier desk',
}
const LABELLED = MAPPING.map((row) => ({ ...row, ...(LABELS[row.entraGroup] && { label: LABELS[row.entraGroup] }) }))

/** The text of a page's main part, as it is read. */
function textOf({ text }: Answer): string {
  const [, main = ''] = /<main>([\s\S]*)<\/main>/.exec(text) ?? []
  const plain = main.replace(/<[^>]+>/g, ' ').replace(/\s+/g, ' ')
  return plain.replace(/&#(\d+);/g, (_, char: string) => String.fromCharCode(Number(char))).replaceAll(' ,', ',')
}

t.test('the home page', async (t) => {
  const gateway = await startTestGateway(t, {
    groups: ['NetBox Superusers', 'Network Engineers', 'Read Only'],
    config: { groupMapping: LABELLED, server: { contact: 'it-help@contoso.example' } },
  })
  const query = await connect(t, gateway.databaseUrl)
  const { directory } = gateway.entra
  const home = async (person: string): Promise<string> => textOf((await gateway.signIn(person)).answer)

  // proves: adv-page-label
  await t.test('names a reason by its label, and by the Object ID where there is none', async (t) => {
    const staff = await home(PERSON_IDS.staff)
    t.match(staff, /Network Engineers because of Network <team>, since 20\d\d-\d\d-\d\d/)
    t.notMatch(staff, GROUP_IDS.networkEngineers)
    t.match(await home(PERSON_IDS.guest), new RegExp(`Read Only because of ${GROUP_IDS.readOnly}, since`))
  })

  // proves: adv-page-not-held
  await t.test('reports a missing local group and the contact', async (t) => {
    const many = await home(PERSON_IDS.many)
    t.match(many, 'Carrier desk is mapped to Circuit Manager, which does not exist here.')
    t.match(many, 'Ask it-help@contoso.example to add')
    t.notMatch(many, /None of your/)
  })

  await t.test('reports that the next sign-in adds a group that was created since', async (t) => {
    const { browser } = await gateway.signIn(PERSON_IDS.many)
    await query("insert into groups (name) values ('Circuit Manager')")
    t.match(textOf(await gateway.ask('/', { browser })), 'yours from your next sign-in, because of Carrier desk')
    t.match(await home(PERSON_IDS.many), /Circuit Manager because of Carrier desk/)
  })

  // proves: adv-page-none-read
  await t.test('distinguishes no group, one unmapped group and several unmapped groups', async (t) => {
    t.match(await home(PERSON_IDS.nobody), 'Microsoft Entra ID reported no group for you at the last check.')
    directory.addMember(GROUP_IDS.berlinTeam, PERSON_IDS.nobody)
    directory.removeMember(GROUP_IDS.networkEngineers, GROUP_IDS.allTeams)
    t.match(await home(PERSON_IDS.nobody), /None of your 3 groups in Microsoft Entra ID is mapped to a group here\./)
    directory.removeMember(GROUP_IDS.europeTeams, GROUP_IDS.berlinTeam)
    t.match(await home(PERSON_IDS.nobody), 'Your one group in Microsoft Entra ID is not mapped to a group here.')
  })

  await t.test('a new label applies immediately and changes no mapping', async (t) => {
    const { browser } = await gateway.signIn(PERSON_IDS.staff)
    gateway.reload({ groupMapping: LABELLED.map((row) => ({ ...row, label: `now ${row.groups[0]}` })) })
    t.match(textOf(await gateway.ask('/', { browser })), /because of now Network Engineers, since/)
  })
})

t.test('the log line of a sign-in names the Entra groups by their labels', async (t) => {
  const gateway = await startTestGateway(t, { config: { groupMapping: LABELLED } })
  await gateway.signIn(PERSON_IDS.staff)
  const line = gateway.log.find(({ msg }) => String(msg).includes('Azure AD group mapping - user'))
  t.match(line, { because: ['Network <team>'], msg: /superuser false, because of Network <team>$/ })
})
