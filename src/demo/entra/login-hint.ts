// The opaque value of the `login_hint` claim, which comes back as `logout_hint`, and hints of any form.
import type { World } from './types.js'

export const loginHintOf = (userId: string) => `O.${Buffer.from(userId).toString('base64url')}`

/** The user whom a hint names: a user name, or the value of the claim. */
export function hinted(world: World, hint: string) {
  const opaque = hint.startsWith('O.') ? Buffer.from(hint.slice(2), 'base64url').toString() : hint
  return world.directory.findUser(opaque)
}
