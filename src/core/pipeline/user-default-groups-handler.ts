// user_default_groups_handler: kept because NetBox's pipeline has it. azuread_map_groups, which is always last,
// replaces what it adds, there as here; `check` warns of it.
import type { Step } from './pipeline.js'

export const userDefaultGroupsHandler: Step = ({ settings }) => ({ defaultGroups: settings.defaultGroups })
