// Every kind of text that a value can be. A new kind is one constant in a file beside this one and one line here.
import { applicationHost, color, image, imageFile, uploadedImage } from './branding.js'
import { duration } from './duration.js'
import { headerName, method, pathPattern, separator } from './http.js'
import type { Kind } from './kind.js'
import { groupName, path, permission, readablePath, ruleName, sha256, step, stepFile, text } from './names.js'
import { cookieDomain, hostName, hostPattern, listenHost, network, redirectDomain } from './networks.js'
import { authenticationContext, entraGroup, guid, tenant } from './object-ids.js'
import { databaseUrl, exportUrl, publicUrl, upstream } from './origins.js'
import { secret, strongSecret } from './secrets.js'

export const KINDS = {
  applicationHost,
  authenticationContext,
  color,
  cookieDomain,
  databaseUrl,
  duration,
  entraGroup,
  exportUrl,
  groupName,
  guid,
  headerName,
  hostName,
  hostPattern,
  image,
  imageFile,
  uploadedImage,
  listenHost,
  method,
  network,
  path,
  pathPattern,
  permission,
  publicUrl,
  readablePath,
  redirectDomain,
  ruleName,
  secret,
  separator,
  sha256,
  step,
  stepFile,
  strongSecret,
  tenant,
  text,
  upstream,
} as const satisfies Record<string, Kind>

export type KindName = keyof typeof KINDS
