// For `node --import ./scripts/typescript.mjs FILE.ts`: runs the TypeScript of src and test as it stands there.
import { register } from 'node:module'

register('./typescript-hooks.mjs', import.meta.url)
