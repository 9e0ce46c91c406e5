// What every reader of the configuration is given: the file, the schema, the environment, and where problems go.
import type { Environment } from '../core/environment.js'
import type { Files } from './files.js'
import type { ImagePlace } from './kinds/kind.js'
import type { ValueProblem } from './problem.js'
import type { Report } from './report.js'
import type { Shape } from './schema-shape.js'
import type { YamlFile } from './yaml-file.js'

export interface ReadContext {
  readonly yaml: YamlFile
  readonly report: Report
  readonly env: Environment
  readonly files: Files
  readonly root: Shape
  readonly secretFiles: string[]
  /** How many more values may be read: aliases of aliases can stand for billions. */
  readonly budget: { left: number }
  /** Absent: variables are replaced. */
  readonly refusesVariables?: boolean
  readonly resolvePath: (path: string) => string
  readonly unreadable: (path: string) => ValueProblem | undefined
  readonly unusableStep: (name: string) => ValueProblem | undefined
  readonly unusableImage: (path: string, place: ImagePlace) => ValueProblem | undefined
}
