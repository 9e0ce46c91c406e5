// Entra ID and Microsoft Graph for commands, with Gatehouse's own credential.
import type { Config } from './config/config.js'
import { createAppDirectory, type AppDirectory } from './entra/app-directory.js'
import { createEntraClient } from './entra/client.js'
import type { EntraEndpoints } from './entra/clouds.js'
import { createInspection, type Inspection } from './entra/inspection.js'

export function openAppDirectory({ entra }: Config): AppDirectory & { close(): Promise<void> } {
  const { appOnly, close } = createEntraClient(() => entra)
  const { securityGroupsOnly, loginBudgetMs: budgetMs } = entra
  return { ...createAppDirectory({ ...appOnly, securityGroupsOnly, budgetMs }), close }
}

export function openInspection(
  { entra, server }: Config,
): { inspection: Inspection, endpoints: EntraEndpoints, close(): Promise<void> } {
  const { appOnly, close } = createEntraClient(() => entra)
  const inspection = createInspection({
    ...appOnly,
    redirectUri: `${server.publicUrl}/oauth2/callback`,
    budgetMs: entra.loginBudgetMs,
  })
  return { inspection, endpoints: appOnly.endpoints, close }
}
