// Installs schemathesis with the packages of .ci/schemathesis.txt (PyPI) for test/e2e/api-fuzz.test.ts.
import { fileURLToPath, pathToFileURL } from 'node:url'
import { environmentFolder, installEnvironment, isEnvironment } from './python-environment.mjs'

const LIST = fileURLToPath(new URL('../.ci/schemathesis.txt', import.meta.url))
const NAME = 'schemathesis'

/** @returns the folder of the virtual environment, whether it is there or not */
export const schemathesisFolder = (env = process.env) => environmentFolder(NAME, LIST, env)

/** @returns whether the installation is whole */
export const isInstalled = (folder = schemathesisFolder()) => isEnvironment(folder)

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) installEnvironment(NAME, LIST)
