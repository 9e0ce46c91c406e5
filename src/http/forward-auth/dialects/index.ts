// The supported proxy dialects. To add one, write a file in this folder and add a line here.
import { authRequest } from './auth-request.js'
import type { Dialect } from '../route.js'
import { extAuthz, readItself } from './ext-authz.js'
import { forwardAuth } from './forward-auth.js'
import { readForwarded, readOriginal, type TargetReader } from '../target-headers.js'

export function dialects(
  authRequestHeaders: 'original' | 'forwarded',
): readonly { readonly dialect: Dialect, readonly read: TargetReader }[] {
  return [
    // guard: adv-one-family
    { dialect: authRequest, read: authRequestHeaders === 'forwarded' ? readForwarded : readOriginal },
    { dialect: forwardAuth, read: readForwarded },
    { dialect: extAuthz, read: readItself },
  ]
}
