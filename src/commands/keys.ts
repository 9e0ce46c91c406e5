// `gatehouse keys list|rotate`: the keys that sign assertions.
import { createKeysAdmin } from '../admin/keys.js'
import { createSigningKeyStore, PUBLISHED_AHEAD } from '../store/keys.js'
import {
  cliActor,
  EXIT,
  print,
  printJson,
  printTable,
  readConfig,
  withDatabase,
  type CommonOptions,
} from './context.js'

export async function keysList(options: CommonOptions): Promise<number> {
  const { keys } = readConfig(options).config
  const list = await withDatabase(
    options,
    ({ database }) => createKeysAdmin({ keys: createSigningKeyStore(database, keys.encryptionSecrets) }).list(),
  )
  if (options.json) printJson(list)
  else {
    printTable(
      ['KEY', 'STATE', 'CREATED', 'SIGNS FROM', 'RETIRED'],
      list.map((key) => [
        key.kid,
        key.state,
        ...[key.createdAt, key.activeAt, key.retiredAt].map((time) => time?.slice(0, 19) ?? ''),
      ]),
      'There are no keys yet: the first start makes one.',
    )
  }
  return EXIT.ok
}

export async function keysRotate(options: CommonOptions & { readonly now?: boolean }): Promise<number> {
  const now = options.now ?? false
  const acting = { actor: cliActor(), admin: undefined }
  const { kid } = await withDatabase(options, ({ acts }) => acts.keys.rotate({ now }, acting))
  if (options.json) printJson({ kid, now })
  else if (now) {
    print(
      `${kid} signs immediately, all other keys are withdrawn. Running replicas use it within a minute; applications ` +
        'refuse what the old ones signed as soon as they fetch the public keys again.',
    )
  } else {
    print(
      `${kid} is published within a minute and signs in ${
        PUBLISHED_AHEAD / 60
      } minutes; what the old one signed stays valid until it expires.`,
    )
  }
  return EXIT.ok
}
