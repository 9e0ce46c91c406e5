// Installs the proxies of .ci/proxies.txt (PyPI) for the end-to-end tests. GATEHOUSE_TEST_PROXIES names a folder that
// has them already.
import { fileURLToPath, pathToFileURL } from 'node:url'
import { environmentFolder, installEnvironment } from './python-environment.mjs'

const LIST = fileURLToPath(new URL('../.ci/proxies.txt', import.meta.url))
const NAME = 'proxies'

/** @returns the folder of the virtual environment, whether it is there or not */
export const proxiesFolder = (env = process.env) => env.GATEHOUSE_TEST_PROXIES || environmentFolder(NAME, LIST, env)

const isCalled = process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href
if (isCalled && !process.env.GATEHOUSE_TEST_PROXIES) installEnvironment(NAME, LIST)
