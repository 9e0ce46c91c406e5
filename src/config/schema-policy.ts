// Where the policy comes from: the configuration file, or versions that are deployed in the database.
import { choice, leaf, section } from './schema-parts.js'

export const policySection = section('Where the policy comes from.', {
  source: choice(
    ['file', 'database'],
    'file: this file has it. database: the version that was deployed last (gatehouse policy deploy) is in force on ' +
      'all replicas, and this file has none of its keys.',
    { default: 'file' },
  ),
})

export const stepFile = section('A custom step.', {
  file: leaf('stepFile', 'Its file, ./my-step.js, in the directory of this file.'),
  sha256: leaf('sha256', 'SHA-256 of its file, 64 hex characters: any other content is refused.'),
})
